import { expect, test } from 'vitest';
import type { Check, Patient } from './check.ts';
import { ok } from './core/finding.ts';
import { examine } from './doctor.ts';

const patient = { host: { now: () => 7 } } as Patient;

const run = (checks: Check[], limitMs = 5_000) => {
  const progress: string[] = [];
  const examined = examine({
    checks,
    patient,
    limitMs,
    signal: new AbortController().signal,
    onProgress: (check, text) => void progress.push(`${check}: ${text}`),
    monotonic: () => 0,
  });
  return examined.then((diagnosis) => ({ ...diagnosis, progress }));
};

test('checks run at once and stand in their order', async () => {
  const order: string[] = [];
  const first = Promise.withResolvers<void>();
  const check = (name: string, body: () => Promise<void>): Check => ({
    name,
    limitMs: 5_000,
    run: async ({ progress }) => {
      progress('begun');
      await body();
      order.push(name);
      return ok(name);
    },
  });
  const { checks, progress, at, verdict } = await run([
    check('a', () => first.promise),
    check('b', async () => first.resolve()),
  ]);
  expect(order.toSorted()).toEqual(['a', 'b']);
  expect([checks.map((one) => one.check), progress, at, verdict]).toEqual([
    ['a', 'b'],
    ['a: begun', 'b: begun'],
    7,
    'ok',
  ]);
});

test('a check that throws cannot tell, and says why', async () => {
  const { checks } = await run([
    {
      name: 'a',
      limitMs: 5_000,
      run: () => {
        throw new Error('the file is gone');
      },
    },
  ]);
  expect(checks[0]).toMatchObject({ verdict: 'skipped', found: 'Cannot tell, because the file is gone' });
});

test('one that hangs ends with its own time, one that hears the end has its say', async () => {
  const hangs: Check = { name: 'hangs', limitMs: 20, run: () => new Promise<never>(() => {}) };
  const hears: Check = {
    name: 'hears',
    limitMs: 20,
    run: ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(ok('as far as it came')));
      }),
  };
  const { checks, verdict } = await run([hangs, hears]);
  expect(checks.map(({ verdict, found }) => [verdict, found])).toEqual([
    ['warn', 'The check did not end within 0.02 s'],
    ['ok', 'as far as it came'],
  ]);
  expect(verdict).toBe('warn');
});

test('the whole has an end, whatever the checks allow themselves', async () => {
  const { checks } = await run([{ name: 'a', limitMs: 1e9, run: () => new Promise<never>(() => {}) }], 20);
  expect(checks[0]?.found).toBe('The check did not end within 0.02 s');
});
