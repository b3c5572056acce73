import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BUNDLE_FILE } from '../../protocol/bundle.ts';
import {
  fakePastUpdates,
  fakeServiceLease,
  fakeTrial,
  fakeUpdate,
} from '../local-api/fake-update-documents.ts';
import { golden, openTranscriptBench, plain80, type TranscriptBench } from './transcript-bench.ts';

let bench: TranscriptBench;
beforeEach(async () => {
  bench = await openTranscriptBench();
});
afterEach(() => bench.close());

test('update: what it waits for, its history, and wishes by hand', async () => {
  const quiet = await bench.transcript([
    ['update', 'status'],
    ['update', 'history'],
  ]);
  bench.view.updates.shown = fakeUpdate;
  bench.view.updates.past = fakePastUpdates;
  bench.view.leases.held = [fakeServiceLease];
  const text = await bench.transcript([
    ['update', 'status'],
    ['update', 'status', '--json'],
    ['update', 'history'],
    ['update', 'history', '--json'],
    ['update', 'apply', '/media/stick'],
    ['update', 'apply', '/media/stick', '--by', 'grace', '--json'],
    ['update', 'apply'],
    ['update', 'consent'],
    ['update', 'consent', '--by', 'grace', '--json'],
    ['update', 'defer', '--for', '2h'],
    ['update', 'defer', '--for', '2h', '--json'],
    ['update', 'rollback'],
    ['update', 'defer'],
    ['update', 'defer', '--for', 'tomorrow'],
    ['update', 'defer', '--for', '200h'],
    ['update', 'consent', '--by', ''],
    ['update', 'cancel'],
  ]);
  const narrow = await bench.transcript([['update', 'status']], plain80);
  bench.view.updates.shown = fakeTrial;
  const trial = await bench.transcript([
    ['update', 'status'],
    ['update', 'status', '--json'],
  ]);
  bench.view.updates.result = 'held';
  const held = await bench.transcript([['update', 'consent']]);
  bench.view.updates.refusal = {
    code: 'update-refused',
    refused: 'Cannot put demo 2.0.0 off: ada made it urgent',
  };
  const refused = await bench.transcript([['update', 'defer', '--for', '2h', '--json']]);
  bench.view.updates.refusal = { code: 'no-update', refused: 'Cannot agree: no release is on its way' };
  const none = await bench.transcript([['update', 'consent']]);
  await bench.agentDown();
  const down = await bench.transcript([['update', 'consent', '--json']]);
  const all = [quiet, text, narrow, trial, held, refused, none, down].join('\n');
  await expect(all).toMatchFileSnapshot(golden('update'));
  expect(bench.view.updates.wishes.slice(0, 5)).toEqual([
    'ada from /media/stick: apply',
    'grace from /media/stick: apply',
    'ada: consent',
    'grace: consent',
    'ada: defer',
  ]);
});

test('leases', async () => {
  const none = await bench.transcript([['lease', 'show']]);
  bench.view.leases.held = [fakeServiceLease];
  const text = await bench.transcript([
    ['lease', 'take', '--for', '30m', '--why', 'calibrating'],
    ['lease', 'take', '--for', '1h', '--why', 'a test run', '--holder', 'test rig', '--json'],
    ['lease', 'show'],
    ['lease', 'show', '--json'],
    ['lease', 'release'],
    ['lease', 'release', '--json'],
    ['lease', 'take', '--for', '30m'],
    ['lease', 'take', '--why', 'x'],
    ['lease', 'take', '--for', '0s', '--why', 'x'],
    ['lease', 'take', '--for', '1h', '--why', 'two\nlines'],
    ['lease', 'take', 'web', '--for', '1h', '--why', 'x'],
    ['lease'],
  ]);
  await expect(`${none}\n${text}`).toMatchFileSnapshot(golden('lease'));
});

/** A removable disk with a folder of it mounted, as the kernel tells of both. */
function plugIn(name: string, release: string): string {
  const folder = join(bench.folder, name);
  const { classBlock, mountinfo } = bench.media;
  const number = `8:${name.length}${name.charCodeAt(name.length - 1)}`;
  mkdirSync(join(classBlock, name), { recursive: true });
  for (const [file, text] of Object.entries({ removable: '1', dev: number, size: '8' }))
    writeFileSync(join(classBlock, name, file), `${text}\n`);
  mkdirSync(join(folder, 'boat'), { recursive: true });
  const bundle = {
    v: 1,
    release: { name: 'demo', version: release, manifest: 'a'.repeat(64) },
    madeAt: 1,
    expiresAt: 2,
  };
  writeFileSync(join(folder, 'boat', BUNDLE_FILE), JSON.stringify(bundle));
  appendFileSync(mountinfo, `36 35 ${number} / ${folder} ro - vfat /dev/${name} ro\n`);
  return folder;
}

test('a bundle is looked for on what is plugged in; of several somebody says which', async () => {
  const folder = plugIn('sda1', '2.0.0');
  const one = await bench.transcript([['update', 'apply']]);
  expect(bench.view.updates.wishes).toEqual([`ada from ${folder}/boat: apply`]);
  plugIn('sdb1', '3.0.0');
  const several = await bench.transcript([
    ['update', 'apply'],
    ['update', 'apply', '--json'],
    ['update', 'apply', '/dev/sdc1'],
  ]);
  await expect(`${one}\n${several}`).toMatchFileSnapshot(golden('update-apply-stick'));
});
