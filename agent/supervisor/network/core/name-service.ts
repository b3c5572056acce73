import { addressOf, gatewayOf, type NetworkState, type Seat, seats, seatsOf, segments } from './state.ts';

/**
 * Files of aardvark-dns by name: `<listen address>`, then `<id> <ip> <ip6> <names> <upstream>` a line. aardvark-dns
 * answers an address with the names of each file that lists it. A service on several segments asks over one of them
 * only, so its address there is listed in the others too, under a name that no service can have.
 */
export function nameFiles(state: NetworkState): Record<string, string> {
  const all = seats(state);
  return Object.fromEntries(
    segments(state).map(({ name, slot, isInternal }) => {
      const here = all.filter((seat) => seat.name === name);
      const askers = here.flatMap((seat) => {
        const asker = askingSeat(state, seat.service);
        return asker === undefined || asker.name === name ? [] : [asker];
      });
      const entries = [
        ...here.map((seat) => entry(seat, [seat.service, ...seat.aliases].join(','))),
        ...askers.map((seat) => entry(seat, `_${seat.service}`)),
      ];
      // `%int`: versions from 1.9 on do not ask upstream for an internal segment.
      return [isInternal ? `${name}%int` : name, `${gatewayOf(slot)}\n${entries.join('')}`];
    }),
  );
}

/**
 * On an internal segment the upstream is the segment's broadcast address: the kernel refuses to send there (EACCES), so
 * no query of such a service leaves the host, whatever the version.
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
