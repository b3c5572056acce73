import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { test } from 'vitest';
import { releaseOf, SERVICES, SlotMachine } from '../../../test/support/slot-machine.ts';
import { happeningToAny, happenToAny, KINDS_TO_ANY } from '../../../test/support/step-machine.ts';
import { instancesOf } from '../instance-name.ts';

const version = fc.integer({ min: 0, max: 4 });
const versions = fc.record({ web: version, bus: version, plain: version });
const instance = fc.constantFrom(...SERVICES.flatMap(instancesOf));
const happening = fc.oneof(
  fc.record({ kind: fc.constant('desire' as const), versions }),
  fc.record({ kind: fc.constant('exit' as const), instance }),
  fc.record({ kind: fc.constant('sicken' as const), version: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('restart' as const), instance }),
  { arbitrary: happeningToAny, weight: KINDS_TO_ANY },
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

function happen(machine: SlotMachine, what: Happening): void {
  switch (what.kind) {
    case 'desire':
      machine.desired = releaseOf(what.versions);
      return;
    case 'exit':
      machine.exit(what.instance, 1);
      return;
    case 'sicken':
      machine.sick = new Set([`v${what.version}`]);
      return;
    case 'restart': {
      const record = machine.records.get(what.instance);
      if (record) machine.records.set(what.instance, { ...record, restartWanted: 'a test' });
      return;
    }
    default:
      happenToAny(machine, what);
  }
}

const history = fc.array(happening, { maxLength: 40 });

function live(machine: SlotMachine, happenings: readonly Happening[]): void {
  for (const what of happenings) {
    happen(machine, what);
    machine.pass();
    for (const name of SERVICES) assert.ok(machine.of(name).length <= 2);
  }
}

test('whatever happens, each service ends up as one container of the version in force', () => {
  fc.assert(
    fc.property(history, (happenings) => {
      const machine = new SlotMachine();
      live(machine, happenings);
      machine.failsStart = false;
      machine.sick.clear();
      machine.shedLevel = 0;
      machine.settle();
      for (const name of SERVICES) {
        const wanted = machine.specOf(name)?.digest;
        // Its new version waits for what is held; the old one may run on meanwhile.
        if (name === 'web' && machine.specOf('bus') && machine.holds().has('bus')) {
          assert.ok(machine.of(name).length <= 1);
          continue;
        }
        const digest = machine.holds().has(name) ? undefined : wanted;
        const left = instancesOf(name).filter((each) => machine.containers.has(each));
        assert.deepEqual(
          machine.of(name).map(({ specDigest }) => specDigest),
          digest === undefined ? [] : [digest],
        );
        assert.equal(left.length, digest === undefined ? 0 : 1);
        const remembered = instancesOf(name).filter((each) => machine.records.has(each)).length;
        assert.equal(remembered, wanted === undefined ? 0 : 1);
      }
    }),
    { numRuns: 400 },
  );
});

test('a version that is never well does not end the one before, also when the agent dies meanwhile', () => {
  const later = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('pass-time' as const), ms: fc.integer({ min: 1, max: 4000 }) }),
      fc.record({ kind: fc.constant('agent-dies' as const) }),
      fc.record({ kind: fc.constant('agent-dies-acting' as const) }),
      fc.record({ kind: fc.constant('exit' as const), instance: fc.constant('web.2') }),
    ),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(fc.boolean(), later, (failsStart, happenings) => {
      const machine = new SlotMachine();
      machine.desired = releaseOf({ web: 1, bus: 1, plain: 1 });
      machine.settle();
      const pids = machine.running().map(({ pid }) => pid);
      machine.sick.add('v2');
      machine.failsStart = failsStart;
      machine.desired = releaseOf({ web: 2, bus: 1, plain: 1 });
      live(machine, happenings);
      machine.settle();
      assert.equal(machine.names.get('web') ?? 'web', 'web');
      machine.failsStart = false;
      machine.desired = releaseOf({ web: 1, bus: 1, plain: 1 });
      machine.settle();
      assert.deepEqual(
        machine.running().map(({ pid }) => pid),
        pids,
      );
    }),
    { numRuns: 100 },
  );
});

test('whoever asks for a name is not led back to what is ending, also by an agent that has just been started', () => {
  const later = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('pass-time' as const), ms: fc.integer({ min: 1, max: 1500 }) }),
      fc.record({ kind: fc.constant('agent-dies' as const) }),
      fc.record({ kind: fc.constant('agent-dies-acting' as const) }),
    ),
    { minLength: 10, maxLength: 30 },
  );
  fc.assert(
    fc.property(later, (happenings) => {
      const machine = new SlotMachine();
      machine.desired = releaseOf({ web: 1, bus: 1, plain: 1 });
      machine.settle();
      // The old version takes its whole grace to end.
      machine.obeysTerm = false;
      machine.desired = releaseOf({ web: 2, bus: 2, plain: 1 });
      live(machine, happenings);
    }),
    { numRuns: 200 },
  );
});

test('a shutdown leaves nothing', () => {
  fc.assert(
    fc.property(history, (happenings) => {
      const machine = new SlotMachine();
      live(machine, happenings);
      machine.isShuttingDown = true;
      machine.settle();
      assert.deepEqual([...machine.containers], []);
    }),
    { numRuns: 100 },
  );
});
