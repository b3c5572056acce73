/** The device beside its agent: what can be had when nobody answers. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NOW } from '../local-api/fake-status.ts';
import { FakeField, fakeDiagnosis, fakeKnown } from './fake-field.ts';
import {
  golden,
  openTranscriptBench,
  plain80,
  type TranscriptBench,
  terminal80,
} from './transcript-bench.ts';

let bench: TranscriptBench;
let field: FakeField;
beforeEach(async () => {
  bench = await openTranscriptBench();
  field = new FakeField();
});
afterEach(() => bench.close());

test('doctor', async () => {
  const text = await bench.transcript([['doctor'], ['doctor', '--quick', '--json']], { field });
  const narrow = await bench.transcript([['doctor']], { ...plain80, field });
  const narrowest = await bench.transcript([['doctor']], { ...plain80, columns: 40, field });
  const coloured = await bench.transcript([['doctor', '--quick']], { ...terminal80, field });
  field.diagnosis = { ...fakeDiagnosis, verdict: 'warn', checks: fakeDiagnosis.checks.slice(0, 3) };
  const fair = await bench.transcript([['doctor']], { field });
  field.diagnosis = new Error('Cannot read configuration $DIR/agent.json: ENOENT');
  const nothing = await bench.transcript([['doctor'], ['doctor', '--json'], ['doctor', 'disk']], { field });
  await bench.agentDown();
  field.diagnosis = fakeDiagnosis;
  const down = await bench.transcript([['doctor']], { field });
  const all = [text, narrow, narrowest, coloured, fair, nothing, down].join('\n');
  await expect(all).toMatchFileSnapshot(golden('doctor'));
});

test('support-bundle', async () => {
  const file = join(bench.folder, 'bundle.txt');
  const text = await bench.transcript(
    [
      ['support-bundle', '-o', file],
      ['support-bundle', '-o', file],
      ['support-bundle', '-o', `${file}.2`, '--max-size', '512KiB', '--json'],
      ['support-bundle', '-o', '-'],
      ['support-bundle', '-o', '-', '--json'],
      ['support-bundle', '--max-size', '1KiB'],
      ['support-bundle', '--max-size', 'small'],
      ['support-bundle', '-o', join(bench.folder, 'no/such/folder')],
    ],
    { field },
  );
  field.bundleText = new Error(
    'Cannot make a support bundle: the secrets to leave out are open to root only; run as root',
  );
  const refused = await bench.transcript(
    [
      ['support-bundle', '-o', `${file}.3`],
      ['support-bundle', '-o', `${file}.3`, '--json'],
    ],
    { field },
  );
  await expect(`${text}\n${refused}`).toMatchFileSnapshot(golden('support-bundle'));
  expect(await readFile(file, 'utf8')).toBe('Wherry support bundle\n');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await expect(stat(`${file}.3`)).rejects.toThrow('ENOENT');
  expect(field.bundlesAsked[0]).toMatchObject({ who: 'ada', maxBytes: 2 * 1024 * 1024 });
});

test('the agent is down, and the device tells what was last known', async () => {
  await bench.agentDown();
  field.known = fakeKnown(join(bench.folder, 'agent.sock'));
  const line = { at: NOW - 1_000, stream: 'stderr' as const, text: 'the last words' };
  field.kept = { web: [{ ...line, at: NOW - 2_000, stream: 'stdout', text: 'listening' }, line] };
  const commands = [
    ['status'],
    ['status', '--json'],
    ['ps'],
    ['ps', '--json'],
    ['logs', 'web'],
    ['logs', 'web', '-n', '1', '--json'],
    ['logs', 'nobody'],
    ['restart', 'web'],
  ];
  const text = await bench.transcript(commands, { field });
  const narrow = await bench.transcript([['status'], ['ps']], { ...plain80, field });
  field.known = {
    ...field.known,
    services: [],
    gaps: ['The ledger cannot be trusted: file is not a database'],
  };
  const empty = await bench.transcript([['status'], ['ps']], { field });
  field.known = fakeKnown('/run/other/agent.sock');
  const other = await bench.transcript([['status']], { field });
  field.known = new Error('Cannot look into /var/lib/wherry: it is open to root only; run as root');
  const closed = await bench.transcript([['status'], ['status', '--json'], ['logs', 'web']], { field });
  const all = [text, narrow, empty, other, closed].join('\n');
  await expect(all).toMatchFileSnapshot(golden('last-known'));
});

test('an agent that lives and is busy is not passed over', async () => {
  const path = join(bench.folder, 'file');
  await writeFile(path, '');
  field.known = fakeKnown(path);
  const text = await bench.transcript([['status', '--socket', join(bench.folder, 'agent.sock')]], { field });
  expect(text).toContain('[exit 0]');
  expect(text).not.toContain('last known');
});
