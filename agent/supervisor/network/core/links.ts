import {
  addressOf,
  bridgeOf,
  gatewayOf,
  macOf,
  type NetworkState,
  netnsOf,
  type Owned,
  type Segment,
  seats,
  seatsOf,
  segments,
  vethOf,
} from './state.ts';

/** `ip -batch` lines that bring the bridges to the state, whatever part of it is there. */
export const bridgeBatch = (owned: Owned, state: NetworkState, present: ReadonlySet<string>): string =>
  lines(
    segments(state).flatMap(({ slot }) => {
      const bridge = bridgeOf(owned, slot);
      return [
        ...(present.has(bridge)
          ? []
          : [`link add ${bridge} group ${owned.group} address ${macOf(slot, 1)} type bridge`]),
        `link set ${bridge} up`,
        `addr replace ${gatewayOf(slot)}/24 brd + dev ${bridge}`,
      ];
    }),
  );

/** Puts the ports back on a bridge that was made anew. */
export const portBatch = (owned: Owned, state: NetworkState, present: ReadonlySet<string>): string =>
  lines(
    seats(state)
      .map(({ slot, host }) => [vethOf(owned, slot, host), bridgeOf(owned, slot)] as const)
      .filter(([veth]) => present.has(veth))
      .map(([veth, bridge]) => `link set ${veth} master ${bridge} up`),
  );

/** Links of ours that the state does not know. */
export function staleBatch(owned: Owned, state: NetworkState, present: ReadonlySet<string>): string {
  const known = new Set([
    ...segments(state).map(({ slot }) => bridgeOf(owned, slot)),
    ...seats(state).map(({ slot, host }) => vethOf(owned, slot, host)),
  ]);
  return lines([...present].filter((name) => !known.has(name)).map((name) => `link del ${name}`));
}

/** Namespace and veth pairs of a service, as far as they are not there. */
export function attachBatch(
  owned: Owned,
  state: NetworkState,
  service: string,
  present: ReadonlySet<string>,
  hasNamespace: boolean,
): string {
  const netns = netnsOf(owned, service);
  return lines([
    ...(hasNamespace ? [] : [`netns add ${netns}`]),
    ...seatsOf(state, service).flatMap(({ slot, host, device }) => {
      const veth = vethOf(owned, slot, host);
      if (present.has(veth)) return [];
      const peer = `peer name ${device} address ${macOf(slot, host)} netns ${netns}`;
      return [
        `link add ${veth} group ${owned.group} type veth ${peer}`,
        `link set ${veth} master ${bridgeOf(owned, slot)} up`,
      ];
    }),
  ]);
}

/** Inside the service's namespace. The default route goes through a segment that leads outside, or is not there. */
export function insideBatch(state: NetworkState, service: string): string {
  const own = seatsOf(state, service);
  const wayOut = own.find(({ isInternal }) => !isInternal);
  return lines([
    'link set lo up',
    ...own.flatMap(({ slot, host, device }) => [
      `addr replace ${addressOf(slot, host)}/24 brd + dev ${device}`,
      `link set ${device} up`,
    ]),
    ...(wayOut ? [`route replace default via ${gatewayOf(wayOut.slot)} dev ${wayOut.device}`] : []),
  ]);
}

export interface Sysctl {
  path: string;
  value: string;
}

/** Files below /proc/sys. Forwarding is asked for only by a segment that leads outside and by a published port. */
export function sysctls(owned: Owned, state: NetworkState): Sysctl[] {
  const all = segments(state);
  const publishes = Object.values(state.members).some(({ ports }) => ports.length > 0);
  const isRouter = publishes || all.some(({ isInternal }) => !isInternal);
  return [
    ...(isRouter ? [{ path: 'net/ipv4/ip_forward', value: '1' }] : []),
    ...all.flatMap((segment) => bridgeSysctls(bridgeOf(owned, segment.slot), segment, state)),
  ];
}

function bridgeSysctls(bridge: string, segment: Segment, state: NetworkState): Sysctl[] {
  const publishes = Object.values(state.members).some(
    ({ ports, segments: joined }) => ports.length > 0 && joined.some(({ name }) => name === segment.name),
  );
  return [
    { path: `net/ipv6/conf/${bridge}/disable_ipv6`, value: '1' },
    // Answers to a connection from 127.0.0.1 to a published port; the input rules let nothing else through.
    { path: `net/ipv4/conf/${bridge}/route_localnet`, value: publishes ? '1' : '0' },
    // The host tells a segment of no address but the one that it has there.
    { path: `net/ipv4/conf/${bridge}/arp_ignore`, value: '1' },
  ];
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');
