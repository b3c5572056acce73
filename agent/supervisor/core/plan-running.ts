import { becauseOf, type Reason, type ReasonCode } from '../../../protocol/reasons.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { budgetDrift, budgetText } from './budget.ts';
import { dependantsLeaving } from './dependencies.ts';
import { isToBeEnded } from './health.ts';
import type { Running, Subject, Verdict } from './plan-service.ts';
import { byHand, inState, type ServiceRecord, withReason } from './record.ts';
import { holdText } from './service-hold.ts';
import { effectiveBudget } from './shedding.ts';

/** A killed process that is still there is stuck in the kernel; it is killed again at this pace. */
const KILL_AGAIN_MS = 5_000;

/** Decides for a service that runs: it is kept, asked to end, or killed. */
export function planRunning(subject: Subject, record: ServiceRecord, container: Running): Verdict {
  const { name, spec, world, order } = subject;
  if (record.stopping !== undefined) return goOnEnding(subject, record);
  const reason = whyEnd(subject, record, container);
  if (reason === undefined)
    return spec ? keep(subject, spec, record, container) : runOn(subject, record, container);
  const isLeaving = spec === undefined;
  const first = isLeaving ? dependantsLeaving(name, order) : [];
  if (first.length > 0) {
    const message = `${reason.message}; runs on until ${first.join(', ')}, which depends on it, has ended`;
    const running = inState(record, 'running', world.now);
    return { record: running, wait: { reason: { ...reason, message }, until: undefined } };
  }
  return ask(name, withReason(record, reason), reason, world.now);
}

/** Why the process is to end; undefined when it is to run on. */
function whyEnd(
  { name, spec, effect, hold, world }: Subject,
  record: ServiceRecord,
  container: Running,
): Reason | undefined {
  const reason = (code: ReasonCode, message: string): Reason => ({ code, message, at: world.now });
  if (world.isShuttingDown) return reason('stop.shutdown', 'All services are being stopped');
  const outgoing = world.slots?.outgoing.get(name);
  if (hold !== undefined && (spec ?? outgoing) !== undefined) return reason('stop.by-hand', holdText(hold));
  if (spec === undefined) {
    if (outgoing?.mayGo === false && effect !== 'stopped') return undefined;
    if (effect === 'stopped')
      return becauseOf(reason('stop.shed', 'Stopped to relieve the device'), world.shedding.reason);
    return outgoing
      ? becauseOf(
          reason('stop.replaced', 'The version in force is well and has taken its place'),
          world.records.get(outgoing.by)?.reasons[0],
        )
      : reason('stop.not-desired', 'The release in force does not hold it');
  }
  if (record.restartWanted !== undefined)
    return reason('stop.operator', byHand(`${record.restartWanted} restarted it`, record.restartWhy));
  if (spec.digest !== container.specDigest)
    return reason('stop.spec-changed', 'The release in force changes its specification');
  if (isToBeEnded(spec, container.pid, world.health.get(name))) {
    const cause = record.reasons.find(({ code }) => code === 'health.unhealthy');
    return becauseOf(reason('stop.unhealthy', 'Its health check failed too often in a row'), cause);
  }
  if (effect !== 'stopped') return undefined;
  return becauseOf(reason('stop.shed', 'Stopped to relieve the device'), world.shedding.reason);
}

/** Nobody desires it any more, but what takes its place is not well yet. */
function runOn({ name, world }: Subject, record: ServiceRecord, { startedAt }: Running): Verdict {
  const message = 'Runs on until the version in force is well';
  const reason: Reason = { code: 'stop.replaced', message, at: startedAt };
  const until = world.slots?.outgoing.get(name)?.until;
  return { record: inState(record, 'running', world.now), wait: { reason, until } };
}

/** Asks the process to end. */
function ask(service: string, record: ServiceRecord, reason: Reason, now: number): Verdict {
  const isUnhealthy = reason.code === 'stop.unhealthy' || record.stopping?.isUnhealthy === true;
  const stopping = isUnhealthy ? { at: now, isUnhealthy: true as const } : { at: now };
  const shed = reason.code === 'stop.shed' ? 'stopped' : record.shed;
  return {
    record: { ...inState(record, 'stopping', now), stopping, shed },
    step: { kind: 'stop', service, signal: record.stop.signal, reason },
    wakeAt: now + record.stop.graceMs,
  };
}

/** Waits out the grace, then kills. */
function goOnEnding({ name, world }: Subject, record: ServiceRecord): Verdict {
  const { now } = world;
  const { at = now, killedAt, isUnhealthy } = record.stopping ?? {};
  const reason: Reason = record.reasons[0] ?? { code: 'stop.not-desired', message: 'It is to end', at };
  // An agent that died may have written the stop down and not sent the signal: the next one sends it again.
  if (world.isFirstPass && killedAt === undefined) return ask(name, record, reason, now);
  // A start of the grace that lies ahead means that the clock was set back: the grace is over.
  const graceEnd = at > now ? now : at + record.stop.graceMs;
  const next = killedAt === undefined || killedAt > now ? graceEnd : killedAt + KILL_AGAIN_MS;
  const stopping = inState(record, 'stopping', now);
  if (now < next) return { record: stopping, wait: { reason, until: next } };
  const message = `Still ran ${record.stop.graceMs} ms after ${record.stop.signal}`;
  const killed = becauseOf({ code: 'stop.killed', message, at: now }, reason);
  const marked = { ...stopping, stopping: { at, killedAt: now, isUnhealthy } };
  return {
    record: killedAt === undefined ? withReason(marked, killed) : marked,
    step: { kind: 'kill', service: name, reason: killedAt === undefined ? killed : reason },
    wakeAt: now + KILL_AGAIN_MS,
  };
}

function keep(subject: Subject, spec: ServiceSpec, record: ServiceRecord, container: Running): Verdict {
  const { name, effect, world } = subject;
  const running = { ...inState(record, 'running', world.now), startWanted: undefined, isHeld: undefined };
  const budget = effectiveBudget(spec.resources, effect);
  const reason = whyBudget(subject, record, budget);
  if (reason !== undefined) {
    return {
      record: withReason({ ...running, shed: effect }, reason),
      step: { kind: 'set-budget', service: name, budget, reason },
    };
  }
  const wakeAt = record.failures > 0 ? container.startedAt + spec.restart.resetAfterMs : undefined;
  return { record: running, wakeAt };
}

/** Why the budget is to be set anew; undefined when it stands. */
function whyBudget(
  { name, effect, world }: Subject,
  record: ServiceRecord,
  budget: ServiceSpec['resources'],
): Reason | undefined {
  const { shedding, now } = world;
  if (record.shed !== effect) {
    const code = effect === undefined ? 'shed.restored' : 'shed.throttled';
    const message = `It is held to ${budgetText(budget)} now`;
    return becauseOf({ code, message, at: now }, shedding.reason);
  }
  const held = world.budgets.get(name);
  const drift = held === undefined ? [] : budgetDrift(budget, held, world.degraded.get(name));
  if (held === undefined || drift.length === 0) return undefined;
  const message = `The kernel held ${budgetText(held, drift)} instead of ${budgetText(budget, drift)}`;
  return { code: 'repair.budget', message, at: now };
}
