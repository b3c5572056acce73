import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UpdateSizes } from '../../fleet-server/rest/api.ts';
import { noise } from '../support/deltas.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { type BuiltRelease, buildRelease, makeSigner, signRelease } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

let fleet: TestFleet;
const releases: string[] = [];
let one: BuiltRelease;

beforeAll(async () => {
  fleet = await TestFleet.start();
  const signer = makeSigner((await fleet.api('GET', '/repository')).body);
  const blob = noise(2_000_000, 1);
  one = await buildRelease('1.0.0', { blob });
  const two = await buildRelease('2.0.0', { blob: Buffer.concat([noise(20_000, 2), blob]) });
  for (const [at, release] of [one, two].entries()) {
    await fleet.api('PUT', `/objects/${release.blobName}`, release.blob);
    await fleet.api('PUT', `/objects/manifest-${release.manifestSha256}`, Buffer.from(release.manifestText));
    const made = await fleet.api('POST', '/releases', signRelease(signer, release, at + 1));
    releases.push(made.body.id);
  }
});
afterAll(() => fleet.close());

const ask = async (devices: string[], releaseId = releases[1]) =>
  (await fleet.api('POST', '/update-sizes', { releaseId, devices })).body as UpdateSizes;

test('says before a rollout what each device would fetch, by what it runs', async () => {
  const [holder, empty] = [await fleet.device('sizes-1'), await fleet.device('sizes-2')];
  const control = await holder.connect('control');
  await holder.hello(control);
  const current = { name: 'demo', version: '1.0.0', manifest: one.manifestSha256, generation: 1 };
  await holder.report(control, 1, { phase: 'committed', since: 1, release: current }, current);
  let sizes: UpdateSizes = { items: [] };
  await until(
    async () => {
      sizes = await ask([holder.id, empty.id]);
      return sizes.items.length === 2 && sizes.items.every(({ isFinal }) => isFinal);
    },
    { timeoutMs: 30_000, what: 'deltas to be made' },
  );
  const byBase = new Map(sizes.items.map((item) => [item.base?.version ?? 'none', item]));
  expect(byBase.get('1.0.0')).toMatchObject({ devices: 1, platform: 'linux/amd64' });
  expect(byBase.get('1.0.0')?.wireBytes).toBeLessThan(30_000);
  // Nothing compresses it, and there is nothing to make it of.
  expect(byBase.get('none')).toMatchObject({ devices: 1, wireBytes: 2_020_000, fullBytes: 2_020_000 });
});

test('a device that runs the release fetches nothing', async () => {
  const sizes = await ask(['sizes-1'], releases[0]);
  expect(sizes.items).toMatchObject([{ wireBytes: 0, fullBytes: 0, isFinal: true }]);
});

test('a release that is not there is refused by name', async () => {
  const answer = await fleet.api('POST', '/update-sizes', { releaseId: 'nothing', devices: [] });
  expect(answer).toMatchObject({ status: 404, body: { code: 'release.unknown' } });
});
