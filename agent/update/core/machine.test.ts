import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Assignment } from '../../../protocol/assignment.ts';
import { NOTHING_KNOWN } from './hold.ts';
import { advance } from './machine.ts';
import { EMPTY_RECORD, inForce, type UpdateRecord } from './record.ts';
import type { UpdateContext, UpdateEffect, UpdateInput } from './transition.ts';

const context: UpdateContext = {
  device: 'boat-1',
  board: 'generic',
  at: 5_000,
  now: 5_000,
  facts: NOTHING_KNOWN,
};
const WELL = { isConverged: true, isFailed: false, unhealthy: [] };
const ILL = { isConverged: false, isFailed: true, unhealthy: [{ service: 'web', message: 'crash-looping' }] };

const assignment = (generation: number, letter: string, change: Partial<Assignment> = {}): Assignment => ({
  type: 'assignment',
  v: 1,
  device: 'boat-1',
  board: 'generic',
  generation,
  release: { name: 'demo', version: letter, manifest: letter.repeat(64) },
  issuedAt: 1_000,
  expiresAt: 10_000,
  ...change,
});

/** The world around the machine: does what it says, and can be cut at any effect. */
class World {
  durable: UpdateRecord = EMPTY_RECORD;
  record: UpdateRecord = EMPTY_RECORD;
  running: string | undefined;
  /** Manifests that the world cannot keep healthy. */
  ill = new Set<string>();
  isFetching = false;
  /** Services that somebody stopped. */
  held: string[] | undefined;
  #budget: number;

  constructor(effectsBeforeTheCut = Number.POSITIVE_INFINITY) {
    this.#budget = effectsBeforeTheCut;
  }

  step(input: UpdateInput): void {
    if (this.#budget <= 0) return;
    const next = advance(this.record, input, context);
    this.record = next.record;
    if (next.isDurable) this.durable = next.record;
    for (const effect of next.effects) this.#perform(effect);
  }

  #perform(effect: UpdateEffect): void {
    if (this.#budget-- <= 0) return;
    if (effect === 'apply') this.running = inForce(this.record)?.release.manifest;
    if (effect === 'fetch') this.isFetching = true;
    if (effect === 'stop-fetch') this.isFetching = false;
    if (effect === 'stage') this.step({ type: 'staged' });
    if (effect === 'switch') this.step({ type: 'switch' });
  }

  look(): void {
    const isIll = this.running !== undefined && this.ill.has(this.running);
    this.step({ type: 'health', health: isIll ? ILL : { ...WELL, held: this.held }, elapsedMs: 50 });
  }

  /** What the release keys say of the release that is fetched next. */
  standing = { counter: 0, floor: 0 };

  fetched(): void {
    if (!this.isFetching) return;
    this.step({
      type: 'manifest-checked',
      manifest: this.record.incoming?.release.version ?? '',
      soakMs: 100,
      standing: this.standing,
    });
    this.step({ type: 'blobs-verified' });
  }

  /** Power back: memory and running services are gone, the durable record is not. */
  restart(): void {
    this.record = this.durable;
    this.running = undefined;
    this.isFetching = false;
    this.#budget = Number.POSITIVE_INFINITY;
    this.step({ type: 'started' });
  }

  settle(): void {
    for (let turn = 0; turn < 10; turn++) {
      this.fetched();
      this.look();
    }
  }
}

function commit(world: World, generation: number, letter: string): void {
  world.step({ type: 'assigned', assignment: assignment(generation, letter) });
  world.settle();
}

test('a release goes from offer to commit, and the one before is kept', () => {
  const world = new World();
  commit(world, 1, 'a');
  commit(world, 2, 'b');
  expect(world.record).toMatchObject({ phase: 'committed', reason: { code: 'update.committed' } });
  expect(world.record.current?.release.version).toBe('b');
  expect(world.record.previous?.release.version).toBe('a');
});

test('nothing goes back below the signed floor, by failure or by hand', () => {
  const world = new World();
  const committed = (generation: number, letter: string, counter: number, floor: number): void => {
    world.standing = { counter, floor };
    commit(world, generation, letter);
  };
  committed(1, 'a', 1, 0);
  committed(2, 'b', 2, 2);
  world.step({ type: 'roll-back', by: 'ada' });
  world.settle();
  expect(world.record.current?.release.version).toBe('b');

  world.ill.add(assignment(3, 'c').release.manifest);
  committed(3, 'c', 3, 3);
  expect(world.record).toMatchObject({ phase: 'committed', reason: { code: 'update.kept' } });
  expect(world.record.current?.release.version).toBe('c');
  expect(world.record.previous).toBeUndefined();

  world.ill.clear();
  committed(4, 'd', 4, 3);
  world.step({ type: 'roll-back', by: 'ada' });
  world.settle();
  expect(world.record.current?.release.version).toBe('c');
});

test('a failed soak brings the release before back and remembers the bad one', () => {
  const world = new World();
  commit(world, 1, 'a');
  world.ill.add('b'.repeat(64));
  commit(world, 2, 'b');
  expect(world.record).toMatchObject({ phase: 'rolled_back', reason: { code: 'update.rolled-back' } });
  expect(world.running).toBe('a'.repeat(64));
  commit(world, 3, 'b');
  expect(world.record.reason?.code).toBe('refused.bad-release');
});

test('what is committed without a service that somebody stopped is said', () => {
  const world = new World();
  world.held = ['camera', 'web'];
  commit(world, 1, 'a');
  expect(world.record.reason?.message).toBe(
    'demo a stayed well for 0.1 s, without camera, web: stopped by hand',
  );
  world.held = undefined;
  commit(world, 2, 'b');
  expect(world.record.reason?.message).toBe('demo b stayed well for 0.1 s');
});

test('a soak is as long as the manifest says, and starts anew when a service is away', () => {
  const world = new World();
  world.step({ type: 'assigned', assignment: assignment(1, 'a') });
  world.fetched();
  world.look();
  world.look();
  world.step({ type: 'health', health: { ...WELL, isConverged: false }, elapsedMs: 50 });
  world.look();
  expect(world.record.phase).toBe('soaking');
  world.look();
  expect(world.record.phase).toBe('committed');
});

test('a release that takes the agent down again and again is rolled back', () => {
  const world = new World();
  commit(world, 1, 'a');
  world.step({ type: 'assigned', assignment: assignment(2, 'b') });
  world.fetched();
  expect(world.record.phase).toBe('switching');
  for (let start = 0; start < 4; start++) world.restart();
  expect(world.record.phase).toBe('rolling_back');
  expect(world.running).toBe('a'.repeat(64));
});

test('a delta that was no good is told once, durably, while its release is fetched and not later', () => {
  const world = new World();
  world.step({ type: 'assigned', assignment: assignment(1, 'a') });
  const unusable = { type: 'delta-unusable' as const, message: 'Cannot use a delta' };
  const next = advance(world.record, unusable, context);
  expect(next).toMatchObject({
    isDurable: true,
    effects: [],
    events: [{ code: 'update.delta-unusable', phase: 'fetching', release: { version: 'a', generation: 1 } }],
    record: { phase: 'fetching', reason: { code: 'update.delta-unusable' } },
  });
  world.fetched();
  expect(advance(world.record, unusable, context)).toMatchObject({ events: [], isDurable: false });
});

test('an equal generation with another release is refused, the same one again is no news', () => {
  const world = new World();
  commit(world, 4, 'a');
  const before = world.record;
  world.step({ type: 'assigned', assignment: assignment(4, 'a') });
  expect(world.record).toBe(before);
  world.step({ type: 'assigned', assignment: assignment(4, 'b') });
  expect(world.record.reason?.code).toBe('refused.generation');
});

const letter = fc.constantFrom('a', 'b', 'c');
const move = fc.oneof(
  fc.record({ kind: fc.constant('assign'), generation: fc.integer({ min: 1, max: 9 }), letter }),
  fc.record({ kind: fc.constant('refused offer') }),
  fc.record({ kind: fc.constant('wrong board'), generation: fc.integer({ min: 1, max: 9 }), letter }),
  fc.record({ kind: fc.constant('expired'), generation: fc.integer({ min: 1, max: 9 }), letter }),
  fc.record({ kind: fc.constantFrom('fetched', 'look', 'refuse incoming', 'restart') }),
);
type Move = { kind: string; generation?: number; letter?: string };

function play(world: World, { kind, generation = 1, letter = 'a' }: Move): void {
  const refusal = { code: 'refused.blob-digest' as const, message: 'tampered' };
  if (kind === 'assign') world.step({ type: 'assigned', assignment: assignment(generation, letter) });
  if (kind === 'wrong board')
    world.step({ type: 'assigned', assignment: assignment(generation, letter, { board: 'other' }) });
  if (kind === 'expired')
    world.step({ type: 'assigned', assignment: assignment(generation, letter, { expiresAt: 1 }) });
  if (kind === 'refused offer') world.step({ type: 'offer-refused', ...refusal });
  if (kind === 'refuse incoming') world.step({ type: 'incoming-refused', ...refusal });
  if (kind === 'fetched') world.fetched();
  if (kind === 'look') world.look();
  if (kind === 'restart') world.restart();
}

test('what runs is always the one release that the record puts in force', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      const world = new World();
      world.restart();
      for (const one of moves) {
        play(world, one);
        expect(world.running).toBe(inForce(world.record)?.release.manifest);
      }
    }),
  );
});

test('a refusal never changes the current release nor what runs', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 30 }), move, (moves, last) => {
      const world = new World();
      world.restart();
      for (const one of moves) play(world, one);
      const { current } = world.record;
      const { running } = world;
      fc.pre(last.kind !== 'restart');
      play(world, last);
      if (world.record.phase !== 'refused') return;
      expect(world.record.current).toEqual(current);
      expect(world.running).toBe(running);
    }),
  );
});

test('generations never go back', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
      const world = new World();
      let highest = 0;
      for (const one of moves) {
        play(world, one);
        const generation = world.record.accepted?.generation ?? 0;
        expect(generation).toBeGreaterThanOrEqual(highest);
        highest = generation;
      }
    }),
  );
});

test('cut at any effect, the device ends on a decided release after a restart', () => {
  fc.assert(
    fc.property(
      fc.array(move, { maxLength: 25 }),
      fc.nat({ max: 60 }),
      fc.subarray(['a', 'b', 'c']),
      (moves, cut, ill) => {
        const world = new World(cut);
        for (const version of ill) world.ill.add(version.repeat(64));
        world.step({ type: 'started' });
        for (const one of moves) if (one.kind !== 'restart') play(world, one);
        world.restart();
        world.settle();
        expect(['idle', 'committed', 'rolled_back', 'refused']).toContain(world.record.phase);
        expect(world.running).toBe(world.record.current?.release.manifest);
        expect(world.record.incoming).toBeUndefined();
        const isIll = world.record.phase === 'committed' && world.ill.has(world.running ?? '');
        expect(isIll).toBe(false);
      },
    ),
  );
});
