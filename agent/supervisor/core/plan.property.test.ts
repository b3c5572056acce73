import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { ObservedContainer } from '../ports.ts';
import type { ServiceSpec } from '../service-spec.ts';
import { plan, type Step } from './plan.ts';
import { noteFailure, type ServiceRecord } from './record.ts';
import { backoffMs } from './restart-policy.ts';
import { noShedding } from './shedding.ts';

const NAMES = ['a', 'b', 'c'] as const;
type Running = Extract<ObservedContainer, { state: 'running' }>;

const specOf = (name: string, version: number): ServiceSpec =>
  serviceSpec(name, {
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

/** A machine on which steps take effect, and a history to assert on. */
class Machine {
  now = 1_000_000;
  desired: ServiceSpec[] = [];
  containers = new Map<string, ObservedContainer>();
  records = new Map<string, ServiceRecord>();
  leftovers = new Set<string>();
  obeysTerm = true;
  failsStart = false;
  isFirstPass = true;
  termSent = new Map<string, number>();
  lastExit = new Map<string, { digest: string; at: number; unasked: boolean }>();
  stopsOfUnchanged: string[] = [];
  pid = 100;

  pass(): Step[] {
    const result = plan({
      desired: this.desired,
      isShuttingDown: false,
      isFirstPass: this.isFirstPass,
      observed: [...this.containers.values()],
      records: this.records,
      oomKills: new Map(),
      budgets: new Map(),
      health: new Map(),
      shedding: noShedding(0),
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
    for (const step of result.steps) this.execute(step);
    return result.steps;
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
    if (spec?.digest === container.specDigest) this.stopsOfUnchanged.push(service);
    this.termSent.set(service, this.now);
    if (this.obeysTerm) this.exit(service, 0, false);
  }

  start(spec: ServiceSpec): void {
    assert.ok(!this.containers.has(spec.name), 'one container a service');
    assert.ok(!this.leftovers.has(spec.name), 'nothing of an earlier start is left');
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
    for (let i = 0; i < 200; i++) {
      this.now += 500;
      this.pass();
    }
  }
}

const versions = fc.record({
  a: fc.integer({ min: 0, max: 3 }),
  b: fc.integer({ min: 0, max: 3 }),
  c: fc.integer({ min: 0, max: 3 }),
});
const happening = fc.oneof(
  fc.record({ kind: fc.constant('desire' as const), versions }),
  fc.record({
    kind: fc.constant('exit' as const),
    name: fc.constantFrom(...NAMES),
    code: fc.constantFrom(0, 1, 137),
  }),
  fc.record({ kind: fc.constant('pass-time' as const), ms: fc.integer({ min: 1, max: 6000 }) }),
  fc.record({ kind: fc.constant('agent-dies' as const) }),
  fc.record({ kind: fc.constant('deaf' as const), isDeaf: fc.boolean() }),
  fc.record({ kind: fc.constant('start-fails' as const), fails: fc.boolean() }),
  fc.record({ kind: fc.constant('reboot' as const) }),
);

function happen(machine: Machine, what: typeof happening extends fc.Arbitrary<infer T> ? T : never): void {
  switch (what.kind) {
    case 'desire':
      // A back-off belongs to the time for which a specification was wanted without a break.
      for (const name of NAMES) {
        const wanted = machine.desired.find((spec) => spec.name === name)?.digest;
        if (wanted !== specOf(name, what.versions[name]).digest) machine.lastExit.delete(name);
      }
      // Version 0 stands for "not in the release".
      machine.desired = NAMES.filter((name) => what.versions[name] > 0).map((name) =>
        specOf(name, what.versions[name]),
      );
      return;
    case 'exit':
      machine.exit(what.name, what.code, true);
      return;
    case 'pass-time':
      machine.now += what.ms;
      return;
    case 'agent-dies':
      machine.isFirstPass = true;
      return;
    case 'deaf':
      machine.obeysTerm = !what.isDeaf;
      return;
    case 'start-fails':
      machine.failsStart = what.fails;
      return;
    case 'reboot':
      machine.containers.clear();
      machine.lastExit.clear();
      machine.isFirstPass = true;
  }
}

test('whatever happens, the machine ends up running what is desired and nothing else', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const machine = new Machine();
      for (const what of happenings) {
        happen(machine, what);
        machine.pass();
      }
      machine.settle();
      for (const name of NAMES) {
        const spec = machine.desired.find((candidate) => candidate.name === name);
        const container = machine.containers.get(name);
        if (spec === undefined) {
          assert.equal(container, undefined);
          assert.ok(!machine.leftovers.has(name));
          assert.ok(!machine.records.has(name));
        } else if (machine.records.get(name)?.settled === undefined) {
          assert.equal(container?.state, 'running', name);
          assert.equal(container?.specDigest, spec.digest);
        } else {
          assert.ok(spec.restart.policy !== 'always' || spec.restart.maxAttempts > 0);
          assert.equal(container, undefined);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('a service whose specification stays the same keeps its process when the release changes', () => {
  fc.assert(
    fc.property(versions, versions, fc.boolean(), (first, second, dies) => {
      const machine = new Machine();
      happen(machine, { kind: 'desire', versions: first });
      machine.settle();
      const pids = new Map([...machine.containers].map(([name, c]) => [name, (c as Running).pid]));
      if (dies) happen(machine, { kind: 'agent-dies' });
      happen(machine, { kind: 'desire', versions: second });
      machine.settle();
      for (const name of NAMES) {
        if (first[name] === 0 || first[name] !== second[name]) continue;
        assert.equal((machine.containers.get(name) as Running).pid, pids.get(name));
      }
      assert.deepEqual(machine.stopsOfUnchanged, []);
    }),
    { numRuns: 100 },
  );
});
