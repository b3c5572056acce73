import type { WorkloadHealth } from '../ports.ts';
import {
  type IncomingRelease,
  isBelowFloor,
  labelOf,
  type SystemInSlot,
  type UpdateRecord,
} from './record.ts';
import {
  clip,
  enter,
  isUnderWay,
  type Transition,
  UPDATE_RULES,
  type UpdateContext,
  unchanged,
} from './transition.ts';

/** One look at the services while a release proves itself, or the one before comes back. */
export function healthSeen(
  record: UpdateRecord,
  health: WorkloadHealth,
  elapsedMs: number,
  context: UpdateContext,
): Transition {
  const { phase, incoming } = record;
  const phaseMs = record.phaseMs + elapsedMs;
  if (phase === 'rolling_back') {
    return health.isConverged || health.isFailed || phaseMs > UPDATE_RULES.rollBackMs
      ? rolledBack(record, context)
      : unchanged({ ...record, phaseMs });
  }
  if ((phase !== 'switching' && phase !== 'soaking') || !incoming) return unchanged(record);
  if (health.isFailed) return rollBack(record, complaint(health, 'a service failed'), context);
  const { outOfMemory } = health;
  if (outOfMemory && outOfMemory.at >= (incoming.switchedAt ?? Number.POSITIVE_INFINITY))
    return rollBack(record, `${outOfMemory.service}: ran out of its memory budget`, context);
  const isAlone = incoming.mustReach === true && !context.facts.isOnline;
  const patienceMs = UPDATE_RULES.settleMs + 3 * incoming.soakMs;
  if (phaseMs > patienceMs + (isAlone ? UPDATE_RULES.reachMs : 0))
    return rollBack(record, complaint(health, isAlone ? UNREACHED : 'it did not settle in time'), context);
  if (!health.isConverged) return unchanged({ ...record, phaseMs, healthyMs: 0 });
  if (phase === 'switching') return enter(record, 'soaking', context, {}, []);
  const healthyMs = record.healthyMs + elapsedMs;
  return healthyMs >= incoming.soakMs && !isAlone
    ? commit(record, health, context)
    : unchanged({ ...record, phaseMs, healthyMs });
}

function commit(record: UpdateRecord, { held }: WorkloadHealth, context: UpdateContext): Transition {
  const { incoming, current } = record;
  if (incoming?.manifest === undefined) return unchanged(record);
  const { release, manifest, counter } = incoming;
  const previous = current && { ...current, agent: record.agent, system: record.system };
  const agent = incoming.agent ?? record.agent;
  const system = settledSystem(incoming) ?? record.system;
  const brings = incoming.system?.id;
  const settled = { agent, system, incoming: undefined };
  const change = { ...settled, current: { release, manifest, counter, brings }, previous, bad: [] };
  return enter(record, 'committed', context, change, ['collect'], {
    code: 'update.committed',
    message: clip(`${labelOf(release)} stayed well for ${incoming.soakMs / 1000} s${unproven(held)}`),
  });
}

/** What was committed unseen is said. */
const unproven = (held: readonly string[] = []): string =>
  held.length > 0 ? `, without ${held.join(', ')}: stopped by hand` : '';

const settledSystem = ({ system }: IncomingRelease): SystemInSlot | undefined =>
  system?.slot === undefined ? undefined : { id: system.id, slot: system.slot };

export function rollBack(record: UpdateRecord, why: string, context: UpdateContext): Transition {
  const { incoming, current } = record;
  if (!incoming) return unchanged(record);
  if (current && incoming.manifest !== undefined && isBelowFloor(record, current))
    return keep(record, { ...incoming, manifest: incoming.manifest }, why, context);
  const bad = [...record.bad, incoming.release.manifest].slice(-UPDATE_RULES.badReleases);
  const next = enter(record, 'rolling_back', context, { incoming: undefined, bad }, ['apply']);
  const back = current ? labelOf(current.release) : 'no release';
  const message = clip(`${labelOf(incoming.release)} rolled back to ${back}: ${why}`);
  const reason = { code: 'update.rolled-back' as const, message, at: context.at };
  return { ...next, record: { ...next.record, reason } };
}

/** There is no way back below the floor: what is not well stays, until a later release comes. */
function keep(
  record: UpdateRecord,
  incoming: IncomingRelease & { manifest: string },
  why: string,
  context: UpdateContext,
): Transition {
  const { release, manifest, counter, agent = record.agent } = incoming;
  const system = settledSystem(incoming) ?? record.system;
  const settled = { agent, system, incoming: undefined };
  const brings = incoming.system?.id;
  const change = { ...settled, current: { release, manifest, counter, brings }, previous: undefined };
  const former = record.current ? labelOf(record.current.release) : 'no release';
  return enter(record, 'committed', context, change, ['apply', 'collect'], {
    code: 'update.kept',
    message: `${labelOf(release)} is not well and stays, because ${former} is below the signed floor: ${why}`,
  });
}

function rolledBack(record: UpdateRecord, context: UpdateContext): Transition {
  const message = record.reason?.message ?? 'The release did not stay healthy';
  return enter(record, 'rolled_back', context, {}, [], { code: 'update.rolled-back', message });
}

/** Only what is settled is taken back by hand; a release on its way is put off, or fails by itself. */
export function rollBackByHand(record: UpdateRecord, by: string, context: UpdateContext): Transition {
  const { current, previous } = record;
  if (isUnderWay(record) || !current || !previous || isBelowFloor(record, previous)) return unchanged(record);
  const bad = [...record.bad, current.release.manifest].slice(-UPDATE_RULES.badReleases);
  const agent = previous.agent ?? record.agent;
  const decidedIn = context.system?.bootId;
  const system = previous.system ? { ...previous.system, decidedIn } : record.system;
  const change = { current: previous, previous: undefined, agent, system, about: current.release, bad };
  const next = enter(record, 'rolling_back', context, change, ['apply']);
  const message = `${by} rolled ${labelOf(current.release)} back to ${labelOf(previous.release)}`;
  const reason = { code: 'update.rolled-back' as const, message, at: context.at };
  return { ...next, record: { ...next.record, reason } };
}

const UNREACHED = 'the server has not been reached since the switch';

const complaint = (health: WorkloadHealth, otherwise: string): string =>
  health.unhealthy.map(({ service, message }) => `${service}: ${message}`).join('; ') || otherwise;
