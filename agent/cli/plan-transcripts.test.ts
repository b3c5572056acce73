import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fakeCheck, fakePlan } from '../local-api/fake-plan-documents.ts';
import { NOW } from '../local-api/fake-status.ts';
import { fakeBoard } from './fake-board.ts';
import { golden, openTranscriptBench, plain80, type TranscriptBench } from './transcript-bench.ts';

let bench: TranscriptBench;
beforeEach(async () => {
  bench = await openTranscriptBench();
});
afterEach(() => bench.close());

test('update check: what is offered, and why it is not taken', async () => {
  const quiet = await bench.transcript([['update', 'check']]);
  bench.view.plans.checked = fakeCheck;
  const waits = await bench.transcript([
    ['update', 'check'],
    ['update', 'check', '--json'],
  ]);
  const narrow = await bench.transcript([['update', 'check']], plain80);
  const { release } = fakeCheck;
  bench.view.plans.checked = {
    ...fakeCheck,
    ...(release && { release }),
    verdict: 'refused',
    why: [
      { code: 'refused.bad-release', message: 'It failed on this device before, and is not taken again' },
    ],
    metadata: {
      state: 'refused',
      code: 'refused.metadata-expired',
      message: 'Cannot accept timestamp.json: it expired 2026-11-20T00:00:00Z',
      at: NOW,
    },
  };
  const refused = await bench.transcript([['update', 'check']]);
  bench.view.plans.checked = {
    verdict: 'nothing-offered',
    why: [],
    metadata: { state: 'unreachable', message: 'the link to the server is down' },
    link: { state: 'offline', since: NOW - 60_000 },
  };
  const offline = await bench.transcript([
    ['update', 'check'],
    ['update', 'check', 'now'],
  ]);
  await bench.agentDown();
  const down = await bench.transcript([['update', 'check', '--json']]);
  const all = [quiet, waits, narrow, refused, offline, down].join('\n');
  await expect(all).toMatchFileSnapshot(golden('update-check'));
});

test('plan: steps, bytes, budgets, and how long each service is away', async () => {
  bench.view.plans.planned = fakePlan;
  const text = await bench.transcript([
    ['plan', '/media/stick/bundle'],
    ['plan', 'offered'],
  ]);
  expect(bench.view.plans.asked).toEqual(['/media/stick/bundle', undefined]);
  const narrow = await bench.transcript([['plan', 'offered']], plain80);
  bench.view.plans.planned = { ...fakePlan, disk: { ...fakePlan.disk, freeBytes: 1024 ** 2, fits: false } };
  const full = await bench.transcript([['plan', 'offered']]);
  bench.view.plans.planned = {
    code: 'update-refused',
    refused: 'Cannot plan demo 2.0.0: it failed on this device before and is not taken',
  };
  const bad = await bench.transcript([
    ['plan', 'offered'],
    ['plan', 'offered', '--json'],
  ]);
  bench.view.plans.planned = { code: 'no-update', refused: 'Cannot plan it: no release is on its way' };
  const none = await bench.transcript([['plan', 'offered']]);
  bench.view.plans.planned = {
    code: 'source-failed',
    refused: 'Cannot plan it: Cannot read timestamp: /media/stick does not hold it',
  };
  const gone = await bench.transcript([['plan', '/media/stick'], ['plan']]);
  await bench.agentDown();
  const down = await bench.transcript([['plan', 'offered']]);
  await expect([text, narrow, full, bad, none, gone, down].join('\n')).toMatchFileSnapshot(golden('plan'));
});

const piped = (...text: string[]) => ({ stdin: Readable.from(text.map((part) => Buffer.from(part))) });

const JOIN = `wherry://fleet.example:7441#ca=sha256:${'ab'.repeat(32)}&t=notasecretinatest`;

test('enrol: the join string from standard input, and each refusal', async () => {
  const stdin = await bench.transcript([['enrol']], piped(`${JOIN}\n`));
  const dash = await bench.transcript([['enrol', '-', '--name', 'boat-7', '--json']], piped(JOIN));
  expect(bench.view.enrolment.asked).toEqual([
    { join: JOIN, by: 'ada' },
    { join: JOIN, by: 'ada', name: 'boat-7' },
  ]);
  const terminal = Object.assign(Readable.from([]), { isTTY: true });
  const none = await bench.transcript([['enrol']], { stdin: terminal });
  const wrong = await bench.transcript([['enrol']], piped('wherry://nowhere'));
  const named = await bench.transcript([['enrol', '-', '--name', 'Not A Name']], piped(JOIN));
  const refusals: string[] = [];
  for (const refusal of [
    {
      code: 'enrol-refused' as const,
      refused:
        'Cannot enrol: this device is boat-7 in the fleet at fleet.example:8883 already; to leave it, stop the agent and delete /var/lib/wherry/identity',
    },
    {
      code: 'enrol-refused' as const,
      refused: 'Cannot enrol at fleet.example:7441: the server says 401: the token is used up',
    },
    {
      code: 'enrol-failed' as const,
      refused:
        'Cannot reach fleet.example:7441: connect ENETUNREACH; check the address and that the server runs',
    },
  ]) {
    bench.view.enrolment.refusal = refusal;
    refusals.push(await bench.transcript([['enrol', '-', '--json']], piped(JOIN)));
  }
  await bench.agentDown();
  const down = await bench.transcript([['enrol']], piped(JOIN));
  const all = [stdin, dash, none, wrong, named, ...refusals, down].join('\n');
  expect(all).not.toContain('notasecretinatest');
  await expect(all).toMatchFileSnapshot(golden('enrol'));
});

test('config: what the agent goes by, and what is wrong with a file', async () => {
  const file = join(bench.folder, 'agent.json');
  const good = {
    name: 'boathouse-1',
    board: fakeBoard,
    stateDir: '/var/lib/wherry',
    runDir: '/run/wherry/agent',
    socket: '/run/wherry/agent.sock',
    trustRoot: join(bench.folder, 'root.json'),
    join: JOIN,
    mirrors: ['https://ada:hunter2@depot.lan/wherry'],
  };
  const env = { WHERRY_CONFIG: file };
  const absent = await bench.transcript(
    [
      ['config', 'show'],
      ['config', 'check', '--json'],
    ],
    { env },
  );
  writeFileSync(file, JSON.stringify(good));
  await bench.agentDown();
  const shown = await bench.transcript(
    [
      ['config', 'show'],
      ['config', 'show', '--json'],
      ['config', 'check'],
    ],
    { env },
  );
  writeFileSync(file, JSON.stringify({ ...good, stateDri: '/x', socket: 'agent.sock', join: 7 }));
  const bad = await bench.transcript(
    [
      ['config', 'check'],
      ['config', 'check', '--json'],
      ['config', 'show'],
    ],
    { env },
  );
  writeFileSync(file, '{ "name": ');
  const broken = await bench.transcript([['config', 'check', file]]);
  const all = [absent, shown, bad, broken].join('\n');
  expect(all).not.toMatch(/notasecretinatest|hunter2/);
  await expect(all).toMatchFileSnapshot(golden('config'));
});

test('help, and a shell that nobody knows', async () => {
  const text = await bench.transcript([
    ['help', 'update'],
    ['help', 'update', 'check'],
    ['help', 'logs', '--json'],
    ['help', 'updaet'],
    ['completion', 'tcsh'],
    ['completion'],
  ]);
  await expect(text).toMatchFileSnapshot(golden('help-on'));
});
