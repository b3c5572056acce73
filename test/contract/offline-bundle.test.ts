import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BUNDLE_FILE, type Bundle } from '../../protocol/bundle.ts';
import { blobObject } from '../../protocol/objects.ts';
import type { TestRelease } from '../support/test-repository.ts';
import { startUpdateBench } from '../support/update-bench.ts';

let bench: Awaited<ReturnType<typeof startUpdateBench>>;
let agent: Awaited<ReturnType<typeof bench.boot>>;
let stick: string;

beforeEach(async () => {
  bench = await startUpdateBench();
  agent = await bench.boot();
  stick = join(bench.folder, 'stick');
  await mkdir(stick);
});
afterEach(async () => {
  await agent.stop();
  await bench.close();
});

/** Everything the repository holds now, without what is named. */
async function write(release: TestRelease, without: readonly string[] = []): Promise<void> {
  const { name, version, manifest } = release;
  const bundle: Bundle = { v: 1, release: { name, version, manifest }, madeAt: 1, expiresAt: 2 };
  await writeFile(join(stick, BUNDLE_FILE), JSON.stringify(bundle));
  for (const [object, content] of bench.repository.objects)
    if (!without.includes(object)) await writeFile(join(stick, object), content);
}
const offline = () => bench.broker.close();

test('a device that never saw a server takes a release from a stick', async () => {
  const release = bench.repository.publish('1.0.0', [await bench.repository.layer(700_000)]);
  await write(release);
  await offline();
  expect(await agent.engine.apply(stick, 'ann')).toEqual({
    ok: true,
    result: 'accepted',
    release: 'demo 1.0.0',
  });
  await agent.phase('committed');
  expect(agent.engine.current).toMatchObject({ version: '1.0.0', generation: 0 });
});

test('what the stick lacks comes over the network', async () => {
  const [kept, left] = [await bench.repository.layer(700_000), await bench.repository.layer(600_000)];
  const release = bench.repository.publish('1.0.0', [kept, left]);
  await write(release, [blobObject(left.verity)]);
  await agent.engine.apply(stick, 'ann');
  await agent.phase('committed');
  expect([bench.served(blobObject(kept.verity)), bench.served(blobObject(left.verity))]).toEqual([0, 10]);
});

test('a stick older than what the device trusts is taken when its release still stands', async () => {
  const layer = await bench.repository.layer(10_000);
  const first = bench.repository.publish('1.0.0', [layer]);
  await write(first);
  agent.engine.offer(bench.repository.assign(bench.repository.publish('2.0.0', [layer])));
  await agent.phase('committed');
  await offline();
  await agent.engine.apply(stick, 'ann');
  await agent.phase('committed', 20_000);
  expect(agent.engine.current).toMatchObject({ version: '1.0.0', generation: 1 });
});

test('after it the next assignment of the server counts again', async () => {
  const layer = await bench.repository.layer(10_000);
  const first = bench.repository.publish('1.0.0', [layer]);
  await write(first);
  await agent.engine.apply(stick, 'ann');
  await agent.phase('committed');
  agent.engine.offer(bench.repository.assign(bench.repository.publish('2.0.0', [layer])));
  await agent.phase('fetching');
  await agent.phase('committed');
  expect(agent.engine.current).toMatchObject({ version: '2.0.0', generation: 1 });
});

test('a release that the keys did not sign is refused, whoever brings it', async () => {
  const layer = await bench.repository.layer(10_000);
  agent.engine.offer(bench.repository.assign(bench.repository.publish('1.0.0', [layer])));
  await agent.phase('committed');
  const release = bench.repository.publish('2.0.0', [layer]);
  await write({ ...release, version: '3.0.0' });
  await agent.engine.apply(stick, 'ann');
  await agent.phase('refused');
  expect(agent.engine.status().reason?.code).toBe('refused.target-missing');
  expect(agent.engine.current?.version).toBe('1.0.0');
});

test.each([
  ['is not there', async () => {}, 'there is no bundle.json'],
  ['is no JSON', () => writeFile(join(stick, BUNDLE_FILE), '{'), 'Cannot apply'],
  [
    'has a field of its own',
    () => writeFile(join(stick, BUNDLE_FILE), '{"v":1,"run":"x"}'),
    'run is not a known field',
  ],
  ['is a folder', () => mkdir(join(stick, BUNDLE_FILE)), 'is no file'],
])('a table of contents that %s is refused in words', async (_what, make, message) => {
  await make();
  expect(await agent.engine.apply(stick, 'ann')).toEqual({
    ok: false,
    message: expect.stringContaining(message),
  });
  expect(agent.engine.status().phase).toBe('idle');
});
