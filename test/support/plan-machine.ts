import assert from 'node:assert/strict';
import type { Health } from '../../agent/supervisor/core/health.ts';
import { plan, type Step } from '../../agent/supervisor/core/plan.ts';
import { backoffMs } from '../../agent/supervisor/core/restart-policy.ts';
import { noShedding } from '../../agent/supervisor/core/shedding.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { withoutCycles } from '../../protocol/dependency-order.ts';
import { serviceSpec } from './service-specs.ts';
import { CHECK, type Running, StepMachine } from './step-machine.ts';

export const NAMES = ['a', 'b', 'c'] as const;

/** By version: what each waits for. Version 3 holds a ring, which no release may: it must not hang either. */
const DEPENDS: Record<number, Record<string, NonNullable<ServiceSpec['dependsOn']>>> = {
  1: { b: { a: 'started' }, c: { b: 'healthy' } },
  2: { c: { a: 'started' }, b: { c: 'started' } },
  3: { a: { b: 'started' }, b: { a: 'started' } },
};
const CRITICALITY = { a: 'critical', b: undefined, c: 'low' } as const;
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
export class Machine extends StepMachine {
  leftovers = new Set<string>();
  /** Processes whose health check fails. */
  sick = new Set<number>();
  isSick = false;
  /** What each container was started with. */
  started = new Map<string, ServiceSpec>();
  /** What had been told to end before the plan was made. */
  ending = new Set<string>();
  /** Of what was started, what ran when the plan was made. */
  seen: ServiceSpec[] = [];
  termSent = new Map<string, number>();
  lastExit = new Map<string, { digest: string; at: number; unasked: boolean }>();
  stopsOfUnchanged: string[] = [];

  override serviceAt = (index: number): string => NAMES[index] ?? 'a';

  override startByHand(service: string): void {
    super.startByHand(service);
    // Who asks for a start waits for no back-off.
    this.lastExit.delete(service);
  }

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
      holds: this.holds(),
      now: this.now,
    });
    const touched = result.steps.map(({ service }) => service);
    assert.equal(new Set(touched).size, touched.length);
    this.assertHeld(result, (name) => this.desired.some((spec) => spec.name === name));
    if (!this.accept(result)) return result.steps;
    for (const step of result.steps) this.execute(step);
    return result.steps;
  }

  override reboot(): void {
    super.reboot();
    this.lastExit.clear();
  }

  health = (): Map<string, Health> => this.healthBy(({ pid }) => !this.sick.has(pid));

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
      if (this.holds().has(other) && settled !== 'completed') return true;
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
      this.remove(service);
      this.leftovers.delete(service);
    }
    if (step.kind === 'forget') this.records.delete(service);
    if (step.kind === 'start') this.start(step.spec);
  }

  stop(service: string, container: Running): void {
    assert.equal(container.state, 'running');
    const spec = this.desired.find(({ name }) => name === service);
    const isSick = this.sick.has(container.pid);
    const isShed = this.shedLevel > 0;
    const isHeld = this.holds().has(service);
    const isUnchanged = spec?.digest === container.specDigest && !this.isShuttingDown && !isSick && !isHeld;
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
      this.refuse(spec);
      this.lastExit.set(spec.name, { digest: spec.digest, at: this.now, unasked: true });
      return;
    }
    this.termSent.delete(spec.name);
    this.launch(spec);
    if (this.isSick) this.sick.add(this.pid);
    this.started.set(spec.name, spec);
  }

  exit(service: string, exitCode: number, unasked: boolean): void {
    const digest = this.end(service, exitCode);
    if (digest === undefined) return;
    this.lastExit.set(service, { digest, at: this.now, unasked: unasked && !this.termSent.has(service) });
  }

  settle(): void {
    this.failsStart = false;
    this.isSick = false;
    this.sick.clear();
    this.shedLevel = 0;
    this.letTimePass(200, () => this.pass());
  }
}
