/** What Wherry remembers of its networks. Kept in a file, so that services that run keep their addresses. */
export interface NetworkState {
  v: 1;
  /** Third number of the /24 of a segment: 10.212.<slot>.0. */
  slots: Record<string, number>;
  members: Record<string, Member>;
}

/** A service on segments. */
export interface Member extends Wiring {
  /** In the release in force. One that is not stays until it is detached: its containers may still run. */
  isWanted: boolean;
  /** `begun` is written before the first link is made, `wired` after the last: what was cut half-way is `begun`. */
  phase: 'absent' | 'begun' | 'wired';
  /** Another instance of its service has the names. */
  isStandby?: true;
}

/** What a service asks of the network. In the order of its interfaces: eth0, eth1. */
export interface Wiring {
  segments: Joined[];
  ports: Port[];
  /** Bits a second of all interfaces together. */
  ingressBps?: number;
  egressBps?: number;
}

export interface Joined {
  name: string;
  aliases: string[];
  isInternal: boolean;
  /** Fourth number of the address. */
  host: number;
}

export interface Port {
  host: number;
  container: number;
  protocol: 'tcp' | 'udp';
  address?: string | undefined;
}

/** Names of everything that belongs to one instance of the agent. */
export interface Owned {
  /** Of all links, such as `wh1a2b`. */
  prefix: string;
  /** Interface group: the second mark of ownership beside the prefix, set by the kernel as the link is made. */
  group: number;
  /** Both nftables tables. */
  table: string;
  /** Of the files in /run/netns. */
  netns: string;
}

/** Address of a port that is published on all. */
export const EVERY = '0.0.0.0';

export const EMPTY: NetworkState = { v: 1, slots: {}, members: {} };

export const gatewayOf = (slot: number): string => `10.212.${slot}.1`;
export const addressOf = (slot: number, host: number): string => `10.212.${slot}.${host}`;
export const subnetOf = (slot: number): string => `10.212.${slot}.0/24`;
export const bridgeOf = ({ prefix }: Owned, slot: number): string => `${prefix}-${slot}`;
/** Host end of a service's veth pair. */
export const vethOf = ({ prefix }: Owned, slot: number, host: number): string => `${prefix}v${slot}-${host}`;
/** Locally administered; follows the address, so a neighbour's ARP cache stays true. */
export const macOf = (slot: number, host: number): string => `02:77:0a:d4:${hex(slot)}:${hex(host)}`;
export const netnsOf = ({ netns }: Owned, service: string): string => `${netns}.${service}`;

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

/** A place of a service on a segment, with all that follows from it. */
export interface Seat extends Joined {
  service: string;
  slot: number;
  /** Name in the service's namespace. */
  device: string;
}

export const seatsOf = (state: NetworkState, service: string): Seat[] =>
  (state.members[service]?.segments ?? []).map((joined, index) => {
    const slot = state.slots[joined.name];
    if (slot === undefined)
      throw new Error(`Cannot wire service "${service}": segment "${joined.name}" has no slot; report this`);
    return { ...joined, service, slot, device: `eth${index}` };
  });

export const seats = (state: NetworkState): Seat[] =>
  Object.keys(state.members)
    .sort()
    .flatMap((service) => seatsOf(state, service));

export interface Segment {
  name: string;
  slot: number;
  isInternal: boolean;
}

/** While an old and a new release disagree, a segment that either calls internal is. */
export const segments = (state: NetworkState): Segment[] =>
  Object.entries(state.slots)
    .sort(([, a], [, b]) => a - b)
    .map(([name, slot]) => ({
      name,
      slot,
      isInternal: Object.values(state.members).some((member) =>
        member.segments.some((joined) => joined.name === name && joined.isInternal),
      ),
    }));

/**
 * Published ports with the seat that answers them: one with a way back to the outside where there is one. While a port
 * moves from one service to another, the one that runs comes first, and the first rule wins.
 */
export const publications = (state: NetworkState): { port: Port; seat: Seat; service: string }[] =>
  Object.entries(state.members)
    .sort(
      ([a, one], [b, other]) =>
        Number(one.phase === 'absent') - Number(other.phase === 'absent') || (a < b ? -1 : 1),
    )
    .flatMap(([service, { ports }]) => {
      const own = seatsOf(state, service);
      const seat = own.find(({ isInternal }) => !isInternal) ?? own[0];
      return seat === undefined ? [] : ports.map((port) => ({ port, seat, service }));
    });
