import assert from 'node:assert/strict';
import type { Health } from '../../agent/supervisor/core/health.ts';
import { plan, type Step } from '../../agent/supervisor/core/plan.ts';
import { noteFailure, type ServiceRecord } from '../../agent/supervisor/core/record.ts';
import { backoffMs } from '../../agent/supervisor/core/restart-policy.ts';
import { noShedding } from '../../agent/supervisor/core/shedding.ts';
import type { ObservedContainer } from '../../agent/supervisor/ports.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { withoutCycles } from '../../protocol/dependency-order.ts';
import { serviceSpec } from './service-specs.ts';

export const NAMES = ['a', 'b', 'c'] as const;
export type Running = Extract<ObservedContainer, { state: 'running' }>;

/** By version: what each waits for. Version 3 holds a ring, which no release may: it must not hang either. */
const DEPENDS: Record<number, Record<string, NonNullable<ServiceSpec['dependsOn']>>> = {
  1: { b: { a: 'started' }, c: { b: 'healthy' } },
  2: { c: { a: 'started' }, b: { c: 'started' } },
  3: { a: { b: 'started' }, b: { a: 'started' } },
};
const CRITICALITY = { a: 'critical', b: undefined, c: 'low' } as const;
const CHECK = {
  check: { kind: 'tcp', port: 80 },
  intervalMs: 500,
  timeoutMs: 100,
  retries: 1,
  startPeriodMs: 0,
  whenUnhealthy: 'restart',
} as const;

export type Versions = Record<(typeof NAMES)[number], number>;

/** A release: version 0 stands for "not in it", and nobody depends on what is not in it. */
export const releaseOf = (all: Versions): ServiceSpec[] =>
  NAMES.filter((name) => all[name] > 0).map((name) => {
    const wanted = Object.entries(DEPENDS[all[name]]?.[name] ?? {});
    const dependsOn = Object.fromEntries(wanted.filter(([other]) => all[other as 'a'] > 0));
    return specOf(name, all[name], dependsOn);
  });

const specOf = (
  name: (typeof NAMES)[number],
  version: number,
  dependsOn: ServiceSpec['dependsOn'],
): ServiceSpec =>
  serviceSpec(name, {
    dependsOn,
    criticality: CRITICALITY[name],
    ...(name === 'b' && { health: CHECK }),
    args: [`v${version}`],
    restart: {
      policy: (['always', 'on-failure', 'never'] as const)[version % 3] ?? 'always',
      backoffInitialMs: 100,
      backoffMaxMs: 3000,
      maxAttempts: version === 3 ? 4 : 0,
      resetAfterMs: 5000,
    },
    stop: { signal: 'SIGTERM', graceMs: version * 500 },
  });

/** Who waits for whom, rings left out. */
const orderable = (specs: readonly ServiceSpec[]): Map<string, string[]> =>
  withoutCycles(new Map(specs.map(({ name, dependsOn = {} }) => [name, Object.keys(dependsOn)])));

/** A machine on which steps take effect, and a history to assert on. */
export class Machine {
  now = 1_000_000;
  desired: ServiceSpec[] = [];
  containers = new Map<string, ObservedContainer>();
  records = new Map<string, ServiceRecord>();
  leftovers = new Set<string>();
  obeysTerm = true;
  failsStart = false;
  isFirstPass = true;
  isShuttingDown = false;
  /** The agent dies between what it writes down and what it does. */
  diesBeforeActing = false;
  /** Processes whose health check fails. */
  sick = new Set<number>();
  isSick = false;
  shedLevel = 0;
  /** What each container was started with. */
  started = new Map<string, ServiceSpec>();
  /** What had been told to end before the plan was made. */
  ending = new Set<string>();
  /** Of what was started, what ran when the plan was made. */
  seen: ServiceSpec[] = [];
  termSent = new Map<string, number>();
  lastExit = new Map<string, { digest: string; at: number; unasked: boolean }>();
  stopsOfUnchanged: string[] = [];
  pid = 100;

  pass(): Step[] {
    this.ending = new Set([...this.records].filter(([, { stopping }]) => stopping).map(([name]) => name));
    this.seen = [...this.started.values()].filter(({ name }) => this.isRunning(name));
    const result = plan({
      desired: this.desired,
      isShuttingDown: this.isShuttingDown,
      isFirstPass: this.isFirstPass,
      observed: [...this.containers.values()],
      records: this.records,
      oomKills: new Map(),
      budgets: new Map(),
      degraded: new Map(),
      health: this.health(),
      shedding: { ...noShedding(0), level: this.shedLevel },
      now: this.now,
    });
    this.isFirstPass = false;
    // What is remembered must survive being written down.
    this.records = new Map(JSON.parse(JSON.stringify([...result.records])) as [string, ServiceRecord][]);
    const touched = result.steps.map(({ service }) => service);
    assert.equal(new Set(touched).size, touched.length);
    for (const { service, until } of result.waiting) {
      assert.ok(until === undefined || until > this.now, `${service} waits for the past`);
    }
    if (this.diesBeforeActing) {
      this.diesBeforeActing = false;
      this.isFirstPass = true;
      return result.steps;
    }
    for (const step of result.steps) this.execute(step);
    return result.steps;
  }

  health(): Map<string, Health> {
    const health = new Map<string, Health>();
    for (const container of this.containers.values()) {
      if (container.state !== 'running' || container.startedAt >= this.now) continue;
      const { service, pid, startedAt } = container;
      const state = this.sick.has(pid) ? 'unhealthy' : 'healthy';
      health.set(service, { pid, startedAt, state, since: this.now, failures: 0, detail: 'sick' });
    }
    return health;
  }

  isRunning(name: string, spec?: ServiceSpec): boolean {
    const container = this.containers.get(name);
    return container?.state === 'running' && (spec === undefined || container.specDigest === spec.digest);
  }

  /** Waits for what failed for good, or for what does. */
  isStuck(name: string): boolean {
    if (this.isRunning(name) || this.records.get(name)?.settled !== undefined) return false;
    const spec = this.desired.find((candidate) => candidate.name === name);
    const needs = orderable(this.desired).get(name) ?? [];
    return needs.some((other) => {
      const settled = this.records.get(other)?.settled;
      if (settled === undefined) return this.isStuck(other);
      return settled !== 'completed' || this.neverWell(other, spec?.dependsOn?.[other]);
    });
  }

  /** What has ended is not healthy, however well it ended, if health was to be told by a check. */
  neverWell(name: string, condition: string | undefined): boolean {
    const health = this.desired.find((candidate) => candidate.name === name)?.health;
    return condition === 'healthy' && health !== undefined;
  }

  assertDependencies(spec: ServiceSpec): void {
    const needs = orderable(this.desired).get(spec.name) ?? [];
    for (const name of needs) {
      const needed = this.desired.find((candidate) => candidate.name === name);
      const isDone = this.records.get(name)?.settled === 'completed';
      assert.ok(needed && (this.isRunning(name, needed) || isDone), `${spec.name} starts before ${name}`);
      if (!this.neverWell(name, spec.dependsOn?.[name])) continue;
      assert.equal(this.health().get(name)?.state, 'healthy', `${spec.name} starts before ${name} is well`);
    }
  }

  /** What leaves goes before what it depends on, as it stood when the plan was made. Asking again is no news. */
  assertStopOrder(service: string): void {
    if (
      this.ending.has(service) ||
      (!this.isShuttingDown && this.desired.some(({ name }) => name === service))
    )
      return;
    for (const [name, needs] of orderable(this.seen)) {
      if (!needs.includes(service) || !this.isRunning(name)) continue;
      const digest = this.started.get(name)?.digest;
      const stays = !this.isShuttingDown && this.desired.some((spec) => spec.digest === digest);
      assert.ok(stays, `${service} stops before ${name}, which depends on it`);
    }
  }

  execute(step: Step): void {
    const { service } = step;
    const container = this.containers.get(service);
    if (step.kind === 'stop') this.stop(service, container as Running);
    if (step.kind === 'kill') {
      assert.ok((this.termSent.get(service) ?? Infinity) <= this.now, 'a kill comes after a stop');
      this.exit(service, 137, false);
    }
    if (step.kind === 'remove') {
      assert.notEqual(container?.state, 'running');
      this.containers.delete(service);
      this.leftovers.delete(service);
      const record = this.records.get(service);
      if (record) this.records.set(service, { ...record, holds: false });
    }
    if (step.kind === 'forget') this.records.delete(service);
    if (step.kind === 'start') this.start(step.spec);
  }

  stop(service: string, container: Running): void {
    assert.equal(container.state, 'running');
    const spec = this.desired.find(({ name }) => name === service);
    const isSick = this.sick.has(container.pid);
    const isShed = this.shedLevel > 0;
    const isUnchanged = spec?.digest === container.specDigest && !this.isShuttingDown && !isSick;
    const why = this.records.get(service)?.reasons[0]?.code;
    assert.ok(service !== 'a' || why !== 'stop.shed', 'the critical are not shed');
    if (isUnchanged && !isShed) this.stopsOfUnchanged.push(service);
    this.assertStopOrder(service);
    this.termSent.set(service, this.now);
    if (this.obeysTerm) this.exit(service, 0, false);
  }

  start(spec: ServiceSpec): void {
    assert.ok(!this.containers.has(spec.name), 'one container a service');
    assert.ok(!this.leftovers.has(spec.name), 'nothing of an earlier start is left');
    this.assertDependencies(spec);
    const last = this.lastExit.get(spec.name);
    if (last?.unasked && last.digest === spec.digest) {
      assert.ok(this.now - last.at >= backoffMs(spec.restart, 1), 'back-off is honoured');
    }
    this.leftovers.add(spec.name);
    if (this.failsStart) {
      const record = this.records.get(spec.name) as ServiceRecord;
      const reason = { code: 'fail.runtime', message: 'refused', at: this.now } as const;
      this.records.set(spec.name, noteFailure(record, spec, reason));
      this.lastExit.set(spec.name, { digest: spec.digest, at: this.now, unasked: true });
      return;
    }
    this.termSent.delete(spec.name);
    this.pid += 1;
    if (this.isSick) this.sick.add(this.pid);
    this.started.set(spec.name, spec);
    this.containers.set(spec.name, {
      service: spec.name,
      specDigest: spec.digest,
      state: 'running',
      pid: this.pid,
      startedAt: this.now,
    });
  }

  exit(service: string, exitCode: number, unasked: boolean): void {
    const container = this.containers.get(service);
    if (container?.state !== 'running') return;
    const { specDigest, startedAt } = container;
    this.lastExit.set(service, {
      digest: specDigest,
      at: this.now,
      unasked: unasked && !this.termSent.has(service),
    });
    const exited = { service, specDigest, startedAt, exitedAt: this.now };
    this.containers.set(service, { ...exited, state: 'exited', exitCode, signal: undefined });
  }

  settle(): void {
    this.failsStart = false;
    this.isSick = false;
    this.sick.clear();
    this.shedLevel = 0;
    for (let i = 0; i < 200; i++) {
      this.now += 500;
      this.pass();
    }
  }
}
