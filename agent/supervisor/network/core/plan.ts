import type { ServiceSpec } from '../../service-spec.ts';
import type { Joined, Member, NetworkState, Wiring } from './state.ts';

/** Where segments may lie: `first` differs between instances, `taken` are those that the host uses otherwise. */
export interface Ground {
  first: number;
  taken: readonly number[];
}

const SLOTS = 255;
/** .1 is the bridge. */
const HOSTS = { first: 2, last: 254 };

/** The state for exactly these services and those that are still attached. */
export function planPrepare(
  state: NetworkState,
  services: readonly ServiceSpec[],
  ground: Ground,
): NetworkState {
  const wanted = services.filter(({ network }) => network === 'segments');
  refuseSharedPorts(wanted);
  const names = new Set(wanted.map(({ name }) => name));
  let next: NetworkState = {
    ...state,
    members: Object.fromEntries(
      Object.entries(state.members)
        .map(([name, member]): [string, Member] => [name, { ...member, isWanted: names.has(name) }])
        .filter(([, { isWanted, phase }]) => isWanted || phase !== 'absent'),
    ),
  };
  // A container that runs keeps the wiring that it has until it is attached anew.
  for (const spec of wanted)
    if ((next.members[spec.name]?.phase ?? 'absent') === 'absent') next = place(next, spec, 'absent', ground);
  return pruned(next);
}

/** Rules would give such a port to one of the two without a word. */
function refuseSharedPorts(services: readonly ServiceSpec[]): void {
  const taken = new Map<string, string>();
  for (const { name, ports = [] } of services)
    for (const { host, protocol, address = '0.0.0.0' } of ports) {
      const key = `${protocol} port ${host} of ${address}`;
      const other = taken.get(key) ?? taken.get(`${protocol} port ${host} of 0.0.0.0`);
      if (other !== undefined)
        throw new Error(
          `Cannot publish ${key} for service "${name}": service "${other}" has it; choose another`,
        );
      taken.set(key, name);
    }
}

/** The state in which the service may be wired as the spec says. */
export const planAttach = (state: NetworkState, spec: ServiceSpec, ground: Ground): NetworkState =>
  pruned(place(state, spec, 'begun', ground));

export function planDetach(state: NetworkState, service: string): NetworkState {
  const { [service]: member, ...others } = state.members;
  if (member === undefined) return state;
  if (!member.isWanted) return pruned({ ...state, members: others });
  return { ...state, members: { ...others, [service]: { ...member, phase: 'absent' } } };
}

export function withPhase(state: NetworkState, service: string, phase: Member['phase']): NetworkState {
  const member = state.members[service];
  return member === undefined
    ? state
    : { ...state, members: { ...state.members, [service]: { ...member, phase } } };
}

/** Whether a member is wired as the spec asks; addresses apart. */
export const isWiredAs = (member: Member, spec: ServiceSpec): boolean =>
  bare(member) === bare(wiring(spec, () => 0));

const bare = ({ segments, ports, ingressBps, egressBps }: Wiring): string =>
  JSON.stringify([segments.map((joined) => ({ ...joined, host: 0 })), ports, ingressBps, egressBps]);

function place(state: NetworkState, spec: ServiceSpec, phase: Member['phase'], ground: Ground): NetworkState {
  const slots = { ...state.slots };
  for (const { name } of spec.segments ?? []) slots[name] ??= freeSlot(slots, name, ground);
  const old = state.members[spec.name];
  const member: Member = {
    ...wiring(spec, (segment) => hostOf(old, segment) ?? freeHost(state, segment)),
    isWanted: true,
    phase,
  };
  return { ...state, slots, members: { ...state.members, [spec.name]: member } };
}

function wiring(spec: ServiceSpec, host: (segment: string) => number): Wiring {
  const { ingressBps, egressBps } = spec.resources.network ?? {};
  return {
    segments: (spec.segments ?? []).map(
      ({ name, aliases, isInternal }): Joined => ({ name, aliases, isInternal, host: host(name) }),
    ),
    ports: (spec.ports ?? []).map(({ host: outer, container, protocol, address }) => ({
      host: outer,
      container,
      protocol,
      ...(address !== undefined && { address }),
    })),
    ...(ingressBps !== undefined && { ingressBps }),
    ...(egressBps !== undefined && { egressBps }),
  };
}

const hostOf = (member: Member | undefined, segment: string): number | undefined =>
  member?.segments.find(({ name }) => name === segment)?.host;

function freeHost(state: NetworkState, segment: string): number {
  const used = new Set(Object.values(state.members).map((member) => hostOf(member, segment)));
  for (let host = HOSTS.first; host <= HOSTS.last; host++) if (!used.has(host)) return host;
  throw new Error(`Cannot join segment "${segment}": all 253 addresses are in use; split the segment`);
}

function freeSlot(slots: Record<string, number>, segment: string, { first, taken }: Ground): number {
  const used = new Set([...Object.values(slots), ...taken]);
  for (let step = 0; step < SLOTS; step++) {
    const slot = (first + step) % SLOTS;
    if (!used.has(slot)) return slot;
  }
  throw new Error(
    `Cannot make segment "${segment}": 10.212.0.0/16 is used up on this host; free a /24 of it`,
  );
}

function pruned(state: NetworkState): NetworkState {
  const used = new Set(
    Object.values(state.members).flatMap((member) => member.segments.map(({ name }) => name)),
  );
  return {
    ...state,
    slots: Object.fromEntries(Object.entries(state.slots).filter(([name]) => used.has(name))),
  };
}
