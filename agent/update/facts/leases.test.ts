import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { Leases } from './leases.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-leases-'));
const HOUR = 3_600_000;
afterEach(() => rmSync(join(dir, 'leases.json'), { force: true }));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a lease survives a restart, is renewed by its holder, and runs out by itself', async () => {
  await new Leases(dir).take({ holder: 'ann', why: 'calibrating', until: HOUR }, 0);
  await new Leases(dir).take({ holder: 'bob', why: 'looking', until: 3 * HOUR }, 0);
  await new Leases(dir).take({ holder: 'ann', why: 'still', until: 2 * HOUR }, 0);
  const leases = new Leases(dir);
  expect(leases.held(0).map(({ holder, why }) => [holder, why])).toEqual([
    ['bob', 'looking'],
    ['ann', 'still'],
  ]);
  expect(leases.held(2 * HOUR).map(({ holder }) => holder)).toEqual(['bob']);
});

test('it is given back once', async () => {
  const leases = new Leases(dir);
  await leases.take({ holder: 'ann', why: '', until: HOUR }, 0);
  expect([await leases.release('ann', 1), await leases.release('ann', 1)]).toEqual([true, false]);
  expect(new Leases(dir).held(1)).toEqual([]);
});

test('none lasts longer than a week, also when the clock is set back', async () => {
  const leases = new Leases(dir);
  await expect(leases.take({ holder: 'ann', why: '', until: 8 * 24 * HOUR }, 0)).rejects.toThrow(
    'at most 7 days',
  );
  await leases.take({ holder: 'ann', why: '', until: 100 * 24 * HOUR }, 99 * 24 * HOUR);
  expect(leases.held(0)).toEqual([]);
});

test('a spoilt file holds nobody up', () => {
  writeFileSync(join(dir, 'leases.json'), '[{"holder":1},');
  expect(new Leases(dir).held(0)).toEqual([]);
  writeFileSync(join(dir, 'leases.json'), '[{"holder":1},null]');
  expect(new Leases(dir).held(0)).toEqual([]);
});
