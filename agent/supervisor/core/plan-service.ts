import type { Reason } from '../../../protocol/reasons.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { Order } from './dependencies.ts';
import { afterReboot } from './exhaustion.ts';
import type { Step, World } from './plan.ts';
import { planRunning } from './plan-running.ts';
import { begin, heldByHand, restingState } from './plan-start.ts';
import {
  inState,
  newRecord,
  noteBroken,
  noteExit,
  renewed,
  type ServiceRecord,
  withReason,
} from './record.ts';
import type { HoldInForce } from './service-hold.ts';
import type { ShedEffect } from './shedding.ts';

export type Running = Extract<ObservedContainer, { state: 'running' }>;

export interface Subject {
  name: string;
  spec: ServiceSpec | undefined;
  container: ObservedContainer | undefined;
  record: ServiceRecord | undefined;
  /** What load shedding does to it now. */
  effect: ShedEffect;
  /** Somebody stopped it by hand. */
  hold: HoldInForce | undefined;
  order: Order;
  world: World;
}

/** The outcome for one service: its new record and at most one of a step and a wait. */
export interface Verdict {
  record: ServiceRecord;
  step?: Step;
  wait?: { reason: Reason; until: number | undefined };
  /** When to look again although nothing is waited for. */
  wakeAt?: number | undefined;
}

/** Decides for one service. Counts what happened to its container first, then compares with what is desired. */
export function planService(subject: Subject): Verdict {
  const { name, spec, container, world } = subject;
  const record = absorb(subject);
  if (container?.state === 'running') return planRunning(subject, record, container);
  if (container !== undefined || record.holds) return cleanUp(subject, record);
  // What is remembered of a service outlives a shutdown.
  if (world.isShuttingDown) return { record: inState(record, 'stopped', world.now) };
  if (spec === undefined) return { record, step: { kind: 'forget', service: name } };
  return begin(subject, spec, record);
}

/** The record with everything in it that the observation tells. */
function absorb({ spec, container, record, world, name }: Subject): ServiceRecord {
  const { now } = world;
  const isForeign = container !== undefined && container.specDigest !== spec?.digest;
  const known = record ?? newRecord(isForeign ? undefined : spec, now);
  switch (container?.state) {
    case 'exited':
      return noteExit(known, spec, container, world.oomKills.get(name) ?? 0, now);
    case 'broken':
      return noteBroken(known, spec, container, now);
    case 'running':
      return absorbHealth(absorbRunning(known, spec, container, world), container, world);
    case undefined:
      return afterReboot(known.stopping === undefined ? known : { ...known, stopping: undefined }, world);
  }
}

function absorbRunning(
  record: ServiceRecord,
  spec: ServiceSpec | undefined,
  container: Running,
  { now, isFirstPass }: World,
): ServiceRecord {
  let next = record.holds ? record : { ...record, holds: true };
  const isOwn = spec?.digest === container.specDigest;
  if (isOwn && next.specDigest !== spec.digest)
    next = { ...renewed(next, spec, now), holds: true, starts: 1 };
  // What never became healthy has not got over its failures, however long it is up.
  const isStable = spec?.health === undefined || next.health === 'healthy';
  if (isOwn && isStable && next.failures > 0 && now - container.startedAt >= spec.restart.resetAfterMs) {
    next = { ...next, failures: 0 };
  }
  if (!isFirstPass || next.stopping !== undefined) return next;
  const message = `Process ${container.pid} has been up for ${((now - container.startedAt) / 1000).toFixed(0)} s`;
  return withReason(next, { code: 'start.adopted', message, at: now });
}

function absorbHealth(record: ServiceRecord, container: Running, { health, now }: World): ServiceRecord {
  const told = health.get(container.service);
  if (told?.pid !== container.pid || told.state === 'starting' || told.state === record.health) return record;
  const message =
    told.state === 'healthy'
      ? 'Its health check succeeds'
      : `Its health check failed ${told.failures} times in a row: ${told.detail}`;
  return withReason({ ...record, health: told.state }, { code: `health.${told.state}`, message, at: now });
}

function cleanUp({ name, spec, hold, world }: Subject, record: ServiceRecord): Verdict {
  const settled =
    hold && spec
      ? heldByHand(record, hold, world.now).record
      : inState(record, spec === undefined ? 'stopping' : restingState(record), world.now);
  const { cleanupAt } = record;
  const reason = settled.reasons[0];
  if (cleanupAt !== undefined && cleanupAt > world.now && reason !== undefined) {
    return { record: settled, wait: { reason, until: cleanupAt } };
  }
  return { record: { ...settled, cleanupAt: undefined }, step: { kind: 'remove', service: name } };
}
