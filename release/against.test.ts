import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { blobOf, noise } from '../test/support/deltas.ts';
import { testManifest } from '../test/support/test-repository.ts';
import { costAgainst } from './against.ts';
import { blobPath } from './folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-against-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function release(version: string, contents: Buffer[]): Promise<string> {
  const dir = join(folder, version);
  const layers = await Promise.all(contents.map(blobOf));
  for (const { verity, content } of layers) {
    await mkdir(dirname(blobPath(dir, verity)), { recursive: true });
    await writeFile(blobPath(dir, verity), content);
  }
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(testManifest(version, layers)));
  return dir;
}

test('says what a device with the older release fetches: what is new of the layers that changed', async () => {
  const [base, app, small] = [noise(400_000, 1), noise(900_000, 2), noise(5_000, 3)];
  const older = await release('1.0.0', [base, app]);
  const newer = await release('1.1.0', [base, Buffer.concat([noise(10_000, 4), app]), small]);
  const { release: name, platforms } = await costAgainst(newer, older);
  expect(name).toBe('demo 1.0.0');
  expect(platforms).toMatchObject([
    { platform: 'linux/amd64', layers: 2, newBytes: 915_000, fullBytes: 915_000 },
  ]);
  expect(platforms[0]?.wireBytes).toBeGreaterThan(15_000);
  expect(platforms[0]?.wireBytes).toBeLessThan(17_000);
});

test('a layer that has nothing in common with the older ones counts whole', async () => {
  const older = await release('1.0.0', [noise(300_000, 1)]);
  const newer = await release('2.0.0', [noise(300_000, 2)]);
  expect((await costAgainst(newer, older)).platforms).toMatchObject([
    { wireBytes: 300_000, fullBytes: 300_000 },
  ]);
});
