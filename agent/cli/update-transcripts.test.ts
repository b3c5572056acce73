import { afterEach, beforeEach, expect, test } from 'vitest';
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
