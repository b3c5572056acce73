import { afterAll, beforeAll, expect, test } from 'vitest';
import { UpdatedBoard } from './updated-board.ts';

/**
 * The power of a whole board is cut while it takes releases, again and again. WHERRY_POWER_CUTS=all: a hundred times, for
 * hours; else each kind of moment that a service or a system can be lost at, once. WHERRY_SEED repeats a run.
 */
const isAll = process.env['WHERRY_POWER_CUTS'] === 'all';
const seed = Number(process.env['WHERRY_SEED'] ?? Date.now() % 100_000);
const ROUNDS = isAll ? 100 : 3;
const SETTLE_MS = 900_000;

let board: UpdatedBoard;
beforeAll(async () => {
  board = await UpdatedBoard.start();
}, 900_000);
afterAll(() => board?.close());

/** Deterministic from the seed: Park and Miller's generator. */
let state = seed;
const random = (): number => {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
};

const MOMENTS = {
  'services, while they are fetched, switched or soaked': {
    bringsSystem: false,
    reach: () => board.elapsed(random() * 20_000),
  },
  'services, as the server hears of the commit': { bringsSystem: false, reach: () => board.committed() },
  'a system, between the bootloader and its kernel': { bringsSystem: true, reach: () => board.trialBegins() },
  'a system, while it is fetched or written': {
    bringsSystem: true,
    reach: () => board.elapsed(random() * 40_000),
  },
  'a system, in its trial boot': {
    bringsSystem: true,
    reach: async () => {
      await board.trialBegins();
      await board.elapsed(random() * 60_000);
    },
  },
  'a system, as the server hears of the commit': { bringsSystem: true, reach: () => board.committed() },
} as const;
type Moment = keyof typeof MOMENTS;

const SHORT: readonly Moment[] = [
  'services, while they are fetched, switched or soaked',
  'a system, between the bootloader and its kernel',
  'a system, as the server hears of the commit',
];
const names = (isAll ? Object.keys(MOMENTS) : SHORT) as Moment[];

/** One more release, cut at this moment; what came of it. */
async function cut(name: Moment): Promise<string> {
  const { bringsSystem, reach } = MOMENTS[name];
  await board.offer({ bringsSystem });
  await reach();
  const { isCommitted, written } = await board.cutPower();
  await board.boot();
  const first = await board.look();
  expect(isCommitted ? [board.incoming] : [board.inForce, board.incoming]).toContain(first.current);
  const { phase, current = '', count } = await board.settle(SETTLE_MS);
  expect(count).toBeGreaterThanOrEqual(written);
  // Nothing is wrong with what was offered: only the trial of a system may be taken for one that does not come up.
  const mayGoBack = bringsSystem && !isCommitted;
  expect(mayGoBack ? ['committed', 'rolled_back'] : ['committed']).toContain(phase);
  expect(current).toBe(phase === 'committed' ? board.incoming : board.inForce);
  expect(await board.look()).toMatchObject(board.wholeRelease(current));
  await board.told(current);
  board.inForce = current;
  return `${name}: ${phase}`;
}

test(
  `after each of ${ROUNDS} power cuts (WHERRY_SEED=${seed}) one whole release runs, and nothing that was committed is lost`,
  async () => {
    const seen: Record<string, number> = {};
    for (let round = 0; round < ROUNDS; round++) {
      const name = names[round % names.length] as Moment;
      const outcome = await cut(name).catch((cause: Error) => {
        throw new Error(`Cut ${round + 1}, ${name}: ${cause.message}`, { cause });
      });
      seen[outcome] = (seen[outcome] ?? 0) + 1;
      process.stdout.write(`cut ${round + 1} of ${ROUNDS}, ${outcome}\n`);
    }
    process.stdout.write(`${ROUNDS} power cuts: ${JSON.stringify(seen, undefined, 2)}\n`);
    expect(Object.values(seen).reduce((sum, times) => sum + times)).toBe(ROUNDS);
  },
  isAll ? 12 * 3_600_000 : 2_400_000,
);
