import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import type { DeviceStrain } from '../ports.ts';
import {
  criticalities,
  DEFAULT_THRESHOLDS,
  effectiveBudget,
  levelOf,
  noShedding,
  noteStrain,
  type Shedding,
  shedEffect,
} from './shedding.ts';

const CLASSES = ['low', 'normal', 'high'] as const;
const services = [
  serviceSpec('logger', { criticality: 'low' }),
  serviceSpec('web'),
  serviceSpec('control', { criticality: 'high' }),
  serviceSpec('safety', { criticality: 'critical' }),
];
const READ_MS = 2000;

/** The states after each reading, one every two seconds. */
function run(strains: DeviceStrain[], from = noShedding(0), startAt = 0): Shedding[] {
  let state = from;
  return strains.map((strain, index) => {
    state = noteStrain(state, strain, DEFAULT_THRESHOLDS, services, startAt + index * READ_MS);
    return state;
  });
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const levels = (states: Shedding[]): number[] => states.map(({ level }) => level);

describe('load shedding', () => {
  test('begins at the second reading over a threshold in a row, with the reason', () => {
    const states = run([{ memoryPressure: 41 }, {}, { memoryPressure: 41 }, { memoryPressure: 41 }]);
    expect(levels(states)).toEqual([0, 0, 0, 1]);
    expect(states[3]?.reason).toMatchObject({ code: 'device.shed' });
  });

  test('begins at once when the voltage is too low', () => {
    expect(levels(run([{ isUnderVoltage: true }]))).toEqual([1]);
  });

  test('goes up one level at a time, and not before the last one could show', () => {
    const states = run(times(40, { temperatureCelsius: 90 }));
    expect(new Set(levels(states))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    for (const [index, { level }] of states.entries()) {
      assert.ok(level <= 1 + (index * READ_MS) / 10_000);
    }
  });

  test('leaves out levels at which there is nobody to touch', () => {
    const critical = services.filter(({ name }) => name === 'safety' || name === 'control');
    const once = noteStrain(noShedding(0), { ioPressure: 99 }, DEFAULT_THRESHOLDS, critical, 0);
    expect(noteStrain(once, { ioPressure: 99 }, DEFAULT_THRESHOLDS, critical, 2000).level).toBe(5);
  });

  test('stays while a reading lies between the two thresholds', () => {
    const from: Shedding = { level: 2, since: 0, over: 0 };
    expect(new Set(levels(run(times(100, { memoryPressure: 35 }), from)))).toEqual(new Set([2]));
  });

  test('is taken back one level for each 30 s of calm', () => {
    const from: Shedding = { level: 3, since: 0, over: 0 };
    const after = (ms: number): number => run(times(ms / READ_MS + 1, {}), from).at(-1)?.level ?? -1;
    expect([28_000, 30_000, 58_000, 60_000, 90_000].map(after)).toEqual([3, 2, 2, 1, 0]);
  });
});

const strains = fc.array(
  fc.record(
    {
      memoryPressure: fc.integer({ min: 0, max: 100 }),
      ioPressure: fc.integer({ min: 0, max: 100 }),
      temperatureCelsius: fc.integer({ min: 20, max: 100 }),
      isUnderVoltage: fc.boolean(),
    },
    { requiredKeys: [] },
  ),
  { maxLength: 200 },
);
const effects = (level: number): string[] => CLASSES.map((name) => shedEffect(level, name) ?? 'whole');
/** What was done to low, normal and high at each state, without repeats. */
const steps = (states: Shedding[]): string[] =>
  states.map(({ level }) => effects(level).join()).filter((text, index, all) => text !== all[index - 1]);
const HARM = ['whole', 'throttled', 'stopped'];

test('the critical are never touched, and the less critical always bear at least as much', () => {
  fc.assert(
    fc.property(strains, (readings) => {
      for (const { level } of run(readings)) {
        assert.equal(shedEffect(level, 'critical'), undefined);
        const harm = effects(level).map((effect) => HARM.indexOf(effect));
        assert.deepEqual(
          harm,
          [...harm].sort((a, b) => b - a),
        );
      }
    }),
  );
});

test('each step touches one class, and the way back is the way there in reverse', () => {
  fc.assert(
    fc.property(strains, (readings) => {
      const forth = run([...readings, ...times(200, { memoryPressure: 100 })]);
      const startAt = forth.length * READ_MS;
      const back = run(times(120, {}), forth.at(-1), startAt);
      assert.deepEqual(
        steps(back).reverse(),
        [0, 1, 2, 3, 4, 5, 6].map((level) => effects(level).join()),
      );
      for (const [index, { level }] of forth.entries()) {
        assert.ok(Math.abs(level - (forth[index - 1]?.level ?? 0)) <= 1);
      }
    }),
    { numRuns: 50 },
  );
});

test('readings that swing within the hysteresis never make it oscillate', () => {
  const between = fc.array(fc.record({ memoryPressure: fc.integer({ min: 29, max: 40 }) }), {
    maxLength: 100,
  });
  fc.assert(
    fc.property(between, fc.integer({ min: 0, max: 6 }), (readings, level) => {
      assert.deepEqual(new Set(levels(run(readings, { level, since: 0, over: 0 }))).size <= 1, true);
    }),
  );
});

test('what was done to a service tells the level that did it', () => {
  for (const criticality of CLASSES) {
    for (const effect of ['throttled', 'stopped'] as const) {
      expect(shedEffect(levelOf(effect, criticality), criticality)).toBe(effect);
    }
  }
});

test('a service on which a critical one depends is critical', () => {
  const chain = [
    serviceSpec('safety', { criticality: 'critical', dependsOn: { bus: 'started' } }),
    serviceSpec('bus', { criticality: 'low', dependsOn: { clock: 'healthy' } }),
    serviceSpec('clock'),
  ];
  expect([...criticalities(chain).values()]).toEqual(['critical', 'critical', 'critical']);
});

test('a throttled service has half its CPU and less memory before reclaim, never more than it had', () => {
  const budget = { memoryMaxBytes: 100 << 20, memoryHighBytes: 50 << 20, cpuMax: 1, pidsMax: 8 };
  expect(effectiveBudget(budget, 'throttled')).toEqual({ ...budget, cpuMax: 0.5 });
  expect(effectiveBudget(budget, undefined)).toBe(budget);
});
