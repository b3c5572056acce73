// Every interleaving of the ring's protocol, on memory weaker than any supported processor's: ipc/model/ring.pml.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT } from '../../scripts/setup.mjs';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const MODEL = join(ROOT, 'ipc/model/ring.pml');
const bench = new IpcBench();
afterAll(() => bench.remove());

/** spin's verdict on a variant of the model. Compiling well takes longer than finding a fault, not than finding none. */
async function search(
  optimize: '-O0' | '-O2',
  ...defines: string[]
): Promise<{ errors: number; states: number; complete: boolean }> {
  const cwd = mkdtempSync(join(bench.programs, 'model-'));
  const flags = defines.map((define) => `-D${define}`);
  expect(await outcome(['spin', ...flags, '-a', MODEL], { cwd })).toMatchObject({ code: 0 });
  // Spin's own output, not ours: its warnings are not for us.
  const compile = ['gcc', optimize, '-w', '-DSAFETY', '-DCOLLAPSE', 'pan.c', '-o', 'pan'];
  expect(await outcome(compile, { cwd })).toMatchObject({ code: 0 });
  const { stdout } = await outcome(['./pan', '-m100000'], { cwd });
  return {
    errors: Number(/errors: (\d+)/.exec(stdout)?.[1]),
    states: Number(/(\d+) states, stored/.exec(stdout)?.[1]),
    complete: !/truncated|too small|out of memory/.test(stdout),
  };
}

test.each([
  ['lossy, the publisher killed at any step', []],
  ['lossy, with a sleep that ends by itself', ['SPURIOUS', 'MESSAGES=3']],
  ['reliable, the publisher killed at any step', ['RELIABLE']],
  ['reliable, looking at every second take whether it waits', ['RELIABLE', 'LOOK_EVERY=2']],
])('%s: no torn message, none out of order, no lost wake-up', { timeout: 120_000 }, async (name, defines) => {
  const found = await search('-O2', ...defines);

  console.log(`${name}: ${found.states} states`);
  expect(found).toMatchObject({ errors: 0, complete: true });
  expect(found.states).toBeGreaterThan(100_000);
});

test.each([
  [['NO_RELEASE_FENCE']],
  [['NO_ACQUIRE_FENCE']],
  [['NO_SECOND_LOOK']],
  [['NO_WAKE_FENCE']],
  [['NO_SLEEP_FENCE']],
  [['WAKE_ONCE_A_SLEEP']],
  [['RELIABLE', 'NO_ROOM_FENCE']],
])('finds the fault in %s', { timeout: 60_000 }, async (defines) => {
  expect((await search('-O0', ...defines)).errors).toBeGreaterThan(0);
});
