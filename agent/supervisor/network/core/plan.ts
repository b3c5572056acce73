import type { ServiceSpec } from '../../service-spec.ts';
import { EVERY, type Joined, type Member, type NetworkState, type Port, type Wiring } from './state.ts';

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
  standby: ReadonlySet<string> = new Set(),
): NetworkState {
  const wanted = services.filter(({ network }) => network === 'segments');
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
  const members = Object.entries(next.members).map(([name, { isStandby: _was, ...member }]) => [
    name,
    standby.has(name) ? { ...member, isStandby: true as const } : member,
  ]);
  return pruned({ ...next, members: Object.fromEntries(members) as NetworkState['members'] });
}

/** The state in which the service may be wired as the spec says. Throws when another has one of its published ports. */
export function planAttach(state: NetworkState, spec: ServiceSpec, ground: Ground): NetworkState {
  const others = Object.entries(state.members).filter(
    ([name, { phase }]) => name !== spec.name && phase !== 'absent',
  );
  for (const port of spec.ports ?? []) {
    const holder = others.find(([, { ports }]) => ports.some((taken) => collides(taken, port)))?.[0];
    if (holder !== undefined)
      throw new Error(
        `Cannot publish ${port.protocol} port ${port.host} for service "${spec.name}": service "${holder}" has it; stop that or choose another port`,
      );
  }
  return pruned(place(state, spec, 'begun', ground));
}

function collides(one: Port, other: Port): boolean {
  const [a, b] = [one.address ?? EVERY, other.address ?? EVERY];
  const meet = a === b || a === EVERY || b === EVERY;
  return meet && one.host === other.host && one.protocol === other.protocol;
}

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
    ...(old?.isStandby && { isStandby: true }),
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
