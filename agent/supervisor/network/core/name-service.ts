import { serviceOf } from '../../instance-name.ts';
import {
  addressOf,
  gatewayOf,
  type NetworkState,
  type Seat,
  type Segment,
  seats,
  seatsOf,
  segments,
} from './state.ts';

/** For each server its files, by name. */
export interface NameFiles {
  open: Record<string, string>;
  internal: Record<string, string>;
}

/**
 * Files of aardvark-dns by name: `<listen address>`, then `<id> <ip> <ip6> <names> <upstream>` a line. aardvark-dns
 * answers an address with the names of each file that lists it. A service on several segments asks over one of them
 * only, so its address there is listed in the others too, under a name that no service can have; and the names of an
 * internal one are also with the open server, at an address of the host's loopback where nobody asks.
 */
export function nameFiles(state: NetworkState): NameFiles {
  const [open, internal] = [false, true].map((wanted) =>
    segments(state).filter(({ isInternal }) => isInternal === wanted),
  ) as [Segment[], Segment[]];
  const mixed = internal.filter(({ name }) =>
    askersFromElsewhere(state, name).some((seat) => !seat.isInternal),
  );
  const files = (some: readonly Segment[], nameOf: (name: string) => string, at: (slot: number) => string) =>
    Object.fromEntries(
      some.map(({ name, slot }) => [nameOf(name), `${at(slot)}\n${entriesOf(state, name).join('')}`]),
    );
  return {
    open: {
      ...files(open, (name) => name, gatewayOf),
      ...files(
        mixed,
        (name) => `${name}%names`,
        (slot) => `127.212.${slot}.1`,
      ),
    },
    // `%int`: versions from 1.9 on do not ask upstream for an internal segment.
    internal: files(internal, (name) => `${name}%int`, gatewayOf),
  };
}

function entriesOf(state: NetworkState, segment: string): string[] {
  const here = seats(state).filter(({ name }) => name === segment);
  return [
    ...here.map((seat) => entry(seat, namesOf(state, seat))),
    ...askersFromElsewhere(state, segment).map((seat) => entry(seat, `_${seat.service}`)),
  ];
}

/** One on standby must be listed, or it would get no answers. */
const namesOf = (state: NetworkState, { service, aliases }: Seat): string =>
  state.members[service]?.isStandby ? `_${service}` : [serviceOf(service), ...aliases].join(',');

/** Seats elsewhere over which services of the segment ask for names. */
const askersFromElsewhere = (state: NetworkState, segment: string): Seat[] =>
  seats(state).flatMap(({ name, service }) => {
    const asker = name === segment ? askingSeat(state, service) : undefined;
    return asker === undefined || asker.name === segment ? [] : [asker];
  });

/**
 * On an internal segment the upstream is the segment's broadcast address: the kernel refuses to send there (EACCES), so
 * no query of such a service leaves the host, also of a version that does not know AARDVARK_NO_PROXY.
 */
const entry = ({ service, slot, host, device, isInternal }: Seat, names: string): string =>
  `${service}-${device} ${addressOf(slot, host)}  ${names}${isInternal ? ` ${addressOf(slot, 255)}` : ''}\n`;

/** The interface over which a service asks for names: one that leads outside where there is one. */
function askingSeat(state: NetworkState, service: string): Seat | undefined {
  const own = seatsOf(state, service);
  return own.find(({ isInternal }) => !isInternal) ?? own[0];
}

/** `/etc/resolv.conf` of a service. */
export function resolvConf(state: NetworkState, service: string): string {
  const seat = askingSeat(state, service);
  return seat === undefined ? '' : `nameserver ${gatewayOf(seat.slot)}\noptions ndots:0\n`;
}
