import { setTimeout as pause } from 'node:timers/promises';

/** An emulated processor is that much slower than the one the tests' patience was measured on. */
const SLOWNESS = 8;

/** test/support/until.ts for an emulated board. */
export async function until<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'a condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = Date.now() + timeoutMs * SLOWNESS;
  for (;;) {
    const value = await check();
    if (value) return value as Exclude<NonNullable<T>, false>;
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs * SLOWNESS} ms in vain for ${what}`);
    await pause(100);
  }
}
