import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Health } from '../../agent/supervisor/core/health.ts';
import type { Plan } from '../../agent/supervisor/core/plan.ts';
import { noteFailure, type ServiceRecord } from '../../agent/supervisor/core/record.ts';
import type { HoldInForce } from '../../agent/supervisor/core/service-hold.ts';
import { instancesOf, serviceOf } from '../../agent/supervisor/instance-name.ts';
import type { ObservedContainer } from '../../agent/supervisor/ports.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';

export type Running = Extract<ObservedContainer, { state: 'running' }>;

export const CHECK = {
  check: { kind: 'tcp', port: 80 },
  intervalMs: 500,
  timeoutMs: 100,
  retries: 1,
  startPeriodMs: 0,
  whenUnhealthy: 'restart',
} as const;

/** Containers and records on which a plan's steps take effect. What the steps must keep to is for those who extend it. */
export class StepMachine {
  now = 1_000_000;
  desired: ServiceSpec[] = [];
  containers = new Map<string, ObservedContainer>();
  records = new Map<string, ServiceRecord>();
  isFirstPass = true;
  isShuttingDown = false;
  obeysTerm = true;
  failsStart = false;
  /** The agent dies between what it writes down and what it does. */
  diesBeforeActing = false;
  shedLevel = 0;
  pid = 100;
  /** Until when somebody stopped a service by hand. */
  heldUntil = new Map<string, number>();

  /** Of the services that may be desired, by number. */
  serviceAt(_index: number): string {
    throw new Error('Those who extend it know the services');
  }

  holds(): Map<string, HoldInForce> {
    const inForce = [...this.heldUntil].filter(([, until]) => until > this.now);
    const hold = { v: 1, by: 'ada', at: 0, boot: { id: 'b', upMs: 0 } } as const;
    return new Map(inForce.map(([service, until]) => [service, { ...hold, until, endsAt: until }]));
  }

  startByHand(service: string): void {
    this.heldUntil.delete(service);
    const instances = instancesOf(service);
    const runs = instances.some(
      (name) => this.containers.get(name)?.state === 'running' && !this.records.get(name)?.stopping,
    );
    const name = instances.find((each) => this.records.has(each));
    const record = name === undefined ? undefined : this.records.get(name);
    if (!runs && name !== undefined && record)
      this.records.set(name, { ...record, startWanted: { by: 'ada' } });
  }

  /** What is held and runs is asked to end at once; nothing of it is started. */
  assertHeld({ records, steps }: Plan, isDesired: (instance: string) => boolean): void {
    const held = this.holds();
    for (const { service, state } of this.containers.values()) {
      if (state !== 'running' || !held.has(serviceOf(service)) || !isDesired(service)) continue;
      assert.ok(records.get(service)?.stopping, `${service} runs on although it is held`);
    }
    for (const { kind, service } of steps)
      assert.ok(kind !== 'start' || !held.has(serviceOf(service)), `${service} starts although it is held`);
  }

  agentDies(): void {
    this.isFirstPass = true;
  }

  reboot(): void {
    this.containers.clear();
    this.agentDies();
  }

  /** Keeps what a plan remembers, as if written down and read again. Whether the agent lives to act on the plan. */
  accept({ records, waiting }: Plan): boolean {
    this.isFirstPass = false;
    this.records = new Map(JSON.parse(JSON.stringify([...records])) as [string, ServiceRecord][]);
    for (const { service, until } of waiting)
      assert.ok(until === undefined || until > this.now, `${service} waits for the past`);
    if (!this.diesBeforeActing) return true;
    this.diesBeforeActing = false;
    this.agentDies();
    return false;
  }

  running = (): Running[] =>
    [...this.containers.values()].filter((container) => container.state === 'running');

  /** Of what has run for any time at all. */
  healthBy(isWell: (container: Running) => boolean): Map<string, Health> {
    const health = new Map<string, Health>();
    for (const container of this.running()) {
      if (container.startedAt >= this.now) continue;
      const { service, pid, startedAt } = container;
      const state = isWell(container) ? 'healthy' : 'unhealthy';
      health.set(service, { pid, startedAt, state, since: this.now, failures: 0, detail: 'sick' });
    }
    return health;
  }

  launch({ name, digest }: ServiceSpec): void {
    this.pid += 1;
    this.containers.set(name, {
      service: name,
      specDigest: digest,
      state: 'running',
      pid: this.pid,
      startedAt: this.now,
    });
  }

  refuse(spec: ServiceSpec): void {
    const reason = { code: 'fail.runtime', message: 'refused', at: this.now } as const;
    const record = this.records.get(spec.name) as ServiceRecord;
    this.records.set(spec.name, noteFailure(record, spec, reason));
  }

  remove(name: string): void {
    assert.notEqual(this.containers.get(name)?.state, 'running');
    this.containers.delete(name);
    const record = this.records.get(name);
    if (record) this.records.set(name, { ...record, holds: false });
  }

  /** Digest of what ended; undefined when it did not run. */
  end(name: string, exitCode: number): string | undefined {
    const container = this.containers.get(name);
    if (container?.state !== 'running') return undefined;
    const { specDigest, startedAt } = container;
    const exited = { service: name, specDigest, startedAt, exitedAt: this.now };
    this.containers.set(name, { ...exited, state: 'exited', exitCode, signal: undefined });
    return specDigest;
  }

  /** Time goes by with nothing else happening. */
  letTimePass(passes: number, pass: () => void): void {
    for (let i = 0; i < passes; i++) {
      this.now += 500;
      pass();
    }
  }
}

/** What may happen to any machine. */
export const happeningToAny = fc.oneof(
  fc.record({ kind: fc.constant('pass-time' as const), ms: fc.integer({ min: 1, max: 6000 }) }),
  fc.record({ kind: fc.constant('agent-dies' as const) }),
  fc.record({ kind: fc.constant('agent-dies-acting' as const) }),
  fc.record({ kind: fc.constant('deaf' as const), isDeaf: fc.boolean() }),
  fc.record({ kind: fc.constant('start-fails' as const), fails: fc.boolean() }),
  fc.record({ kind: fc.constant('reboot' as const) }),
  fc.record({ kind: fc.constant('shed' as const), level: fc.integer({ min: 0, max: 6 }) }),
  fc.record({
    kind: fc.constant('stop-by-hand' as const),
    index: fc.integer({ min: 0, max: 2 }),
    ms: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.constant(1e9)),
  }),
  fc.record({ kind: fc.constant('start-by-hand' as const), index: fc.integer({ min: 0, max: 2 }) }),
);
export const KINDS_TO_ANY = 9;
type HappeningToAny = typeof happeningToAny extends fc.Arbitrary<infer T> ? T : never;

export function happenToAny(machine: StepMachine, what: HappeningToAny): void {
  switch (what.kind) {
    case 'pass-time':
      machine.now += what.ms;
      return;
    case 'agent-dies':
      machine.agentDies();
      return;
    case 'agent-dies-acting':
      machine.diesBeforeActing = true;
      return;
    case 'deaf':
      machine.obeysTerm = !what.isDeaf;
      return;
    case 'start-fails':
      machine.failsStart = what.fails;
      return;
    case 'shed':
      machine.shedLevel = what.level;
      return;
    case 'stop-by-hand':
      machine.heldUntil.set(machine.serviceAt(what.index), machine.now + what.ms);
      return;
    case 'start-by-hand':
      machine.startByHand(machine.serviceAt(what.index));
      return;
    case 'reboot':
      machine.reboot();
  }
}
