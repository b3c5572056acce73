import { setTimeout as pause } from 'node:timers/promises';

/** Waits for a level: polls until `check` gives something truthy, and returns it. Throws with `what` when it never does. */
export async function until<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'the condition' }: { timeoutMs?: number; what?: string } = {},
): Promise<Exclude<NonNullable<T>, false>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value) return value as Exclude<NonNullable<T>, false>;
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`);
    await pause(20);
  }
}
