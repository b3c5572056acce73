import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { followKeyChanges } from '../../protocol/fleet-key.ts';
import { FleetKeys } from './fleet-keys.ts';

const folder = await mkdtemp(join(tmpdir(), 'wherry-fleet-keys-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a rotated key survives a restart, the old one is gone, and a device finds the way to the new one', async () => {
  const first = await FleetKeys.open(folder);
  const enrolled = first.publicPem();
  await first.rotate(1_000);
  await first.rotate(2_000);
  const again = await FleetKeys.open(folder);
  expect(again.publicPem()).toBe(first.publicPem());
  expect(again.publicPem()).not.toBe(enrolled);
  expect(followKeyChanges(enrolled, again.changes())).toBe(again.publicPem());
  expect((await readdir(folder)).toSorted()).toEqual(['fleet-2000.pem', 'fleet-keys.json']);
});

test('a key whose rotation was cut off is never used', async () => {
  await writeFile(join(folder, 'fleet-3000.pem'), 'half a key');
  const keys = await FleetKeys.open(folder);
  await keys.rotate(4_000);
  expect((await readdir(folder)).toSorted()).toEqual(['fleet-4000.pem', 'fleet-keys.json']);
});

test('a chain that cannot be read is not begun anew', async () => {
  await writeFile(join(folder, 'fleet-keys.json'), '{');
  await expect(FleetKeys.open(folder)).rejects.toThrow('devices follow the chain');
});
