import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'vitest';
import { Machine, NAMES, releaseOf, type Versions } from '../../../test/support/plan-machine.ts';
import {
  happeningToAny,
  happenToAny,
  KINDS_TO_ANY,
  type Running,
} from '../../../test/support/step-machine.ts';
import { workloadHealth } from './status.ts';

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
  fc.record({ kind: fc.constant('sicken' as const), isSick: fc.boolean() }),
  { arbitrary: happeningToAny, weight: KINDS_TO_ANY },
);

function happen(machine: Machine, what: typeof happening extends fc.Arbitrary<infer T> ? T : never): void {
  switch (what.kind) {
    case 'desire': {
      const desired = releaseOf(what.versions);
      // A back-off belongs to the time for which a specification was wanted without a break.
      for (const name of NAMES) {
        const wanted = machine.desired.find((spec) => spec.name === name)?.digest;
        const next = desired.find((spec) => spec.name === name)?.digest;
        if (wanted !== next) machine.lastExit.delete(name);
      }
      machine.desired = desired;
      return;
    }
    case 'exit':
      machine.exit(what.name, what.code, true);
      return;
    case 'sicken':
      machine.isSick = what.isSick;
      return;
    default:
      happenToAny(machine, what);
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
        } else if (machine.holds().has(name)) {
          assert.equal(container, undefined, `${name} is held`);
          assert.ok(!machine.leftovers.has(name));
          assert.equal(machine.records.get(name)?.state, 'stopped');
          assert.equal(machine.records.get(name)?.reasons[0]?.code, 'wait.by-hand');
        } else if (machine.isStuck(name)) {
          assert.equal(container, undefined);
          assert.equal(machine.records.get(name)?.reasons[0]?.code, 'wait.dependency');
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

test('a release is not to blame for what somebody stopped by hand, nor for what waits for that', () => {
  fc.assert(
    fc.property(versions, fc.array(happening, { maxLength: 20 }), (wanted, happenings) => {
      const machine = new Machine();
      for (const what of happenings) {
        happen(machine, what);
        machine.pass();
      }
      happen(machine, { kind: 'desire', versions: wanted });
      machine.settle();
      const { desired, containers, records } = machine;
      const holds = machine.holds();
      const look = workloadHealth(desired, [...containers.values()], records, machine.health(), holds);
      const isOver = desired.some(({ name }) => records.get(name)?.settled !== undefined);
      assert.ok(isOver || (look.isConverged && !look.isFailed), JSON.stringify(look.unhealthy));
      const down = desired.filter(({ name }) => !machine.isRunning(name)).map(({ name }) => name);
      assert.ok(isOver || down.every((name) => look.held?.includes(name)));
      assert.ok(!look.unhealthy.some(({ service }) => holds.has(service)));
    }),
    { numRuns: 200 },
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
        const digest = (all: Versions) => releaseOf(all).find((spec) => spec.name === name)?.digest;
        if (digest(first) === undefined || digest(first) !== digest(second)) continue;
        assert.equal((machine.containers.get(name) as Running).pid, pids.get(name));
      }
      assert.deepEqual(machine.stopsOfUnchanged, []);
    }),
    { numRuns: 100 },
  );
});

test('a shutdown ends everything, each service before what it depends on, and leaves nothing', () => {
  fc.assert(
    fc.property(versions, fc.array(happening, { maxLength: 15 }), (wanted, happenings) => {
      const machine = new Machine();
      happen(machine, { kind: 'desire', versions: wanted });
      for (const what of happenings) {
        happen(machine, what);
        machine.pass();
      }
      machine.isShuttingDown = true;
      machine.settle();
      assert.deepEqual([...machine.containers], []);
      assert.deepEqual([...machine.leftovers], []);
    }),
    { numRuns: 100 },
  );
});
