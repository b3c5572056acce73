import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { leaseDesk } from './lease-desk.ts';
import { Leases } from './update/facts/leases.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-desk-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 10, 21, 10);
const busy = { holder: 'web', why: 'measuring', until: NOW + 5_000, isService: true as const };

test('leases of people and services are one list; those of people wake the update and are told', async () => {
  const told: string[] = [];
  let wakes = 0;
  const desk = leaseDesk({
    hand: new Leases(dir),
    services: { held: () => [busy] },
    outbox: { add: ({ code, message }) => told.push(`${code} ${message}`) },
    clock: { now: () => NOW },
    onChange: () => (wakes += 1),
  });
  await desk.take({ holder: 'ada', why: 'calibrating', forMs: 60_000 });
  expect(desk.list()).toEqual([
    { holder: 'ada', why: 'calibrating', until: NOW + 60_000, kind: 'person' },
    { holder: 'web', why: 'measuring', until: NOW + 5_000, kind: 'service' },
  ]);
  expect(desk.held()).toContainEqual(busy);
  expect([await desk.release('web'), await desk.release('ada')]).toEqual([
    { holder: 'web', result: 'absent' },
    { holder: 'ada', result: 'released' },
  ]);
  expect(wakes).toBe(2);
  expect(told).toEqual([
    'lease.taken ada took a lease until 2026-11-21T10:01:00Z: calibrating',
    'lease.released ada gave its lease back',
  ]);
});

test('there is an end to how many are held at once; renewing one is no other', async () => {
  const desk = leaseDesk({
    hand: new Leases(dir),
    services: { held: () => [] },
    outbox: { add: () => undefined },
    clock: { now: () => NOW },
    onChange: () => undefined,
  });
  const take = (holder: number) => desk.take({ holder: `h${holder}`, why: 'x', forMs: 60_000 });
  for (let holder = 0; holder < 32; holder++) await take(holder);
  expect(await take(32)).toEqual({ refused: expect.stringContaining('32 are held already') });
  expect(await take(0)).toMatchObject({ result: 'taken' });
});
