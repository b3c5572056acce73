/**
 * Golden transcripts: the CLI against a real local API on a real unix socket, with a simulated device behind it and
 * its clock standing at 10:00:00Z. Whole outputs are compared; after a wanted change `vitest -u` writes them anew.
 */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeCapsule, fakeInspection, fullStatus } from '../local-api/fake-documents.ts';
import { fakeService, fakeStatus, NOW } from '../local-api/fake-status.ts';
import { clientVersion } from './client-version.ts';
import {
  golden,
  openTranscriptBench,
  plain80,
  type TranscriptBench,
  terminal80,
} from './transcript-bench.ts';

const MiB = 1024 ** 2;
const demo2 = { name: 'demo', version: '2.0.0', manifest: 'b'.repeat(64), generation: 5 };

let bench: TranscriptBench;
let folder: string;
let view: FakeAgentView;
let transcript: TranscriptBench['transcript'];

beforeEach(async () => {
  bench = await openTranscriptBench();
  ({ folder, view, transcript } = bench);
});

afterEach(() => bench.close());

function makeTrouble(): void {
  const failed = 'It exited with code 1 for the third time in a row; next start in 8 s';
  view.agentStatus = fakeStatus({
    link: {
      state: 'offline',
      since: NOW - 95_000,
      detail: 'fleet.example:8883 refused the connection; next try in 12 s',
    },
    update: {
      phase: 'fetching',
      since: NOW - 41_000,
      release: demo2,
      progress: { doneBytes: 3 * MiB, totalBytes: 13_002_342, reusedBytes: 88 * MiB },
    },
    services: [
      fakeService('sensor'),
      fakeService('analyser', {
        state: 'crash_looping',
        since: NOW - 7_000,
        restarts: 14,
        oomKills: 1,
        reason: { code: 'wait.backoff', message: failed, at: NOW - 7_000 },
        budget: { memoryMaxBytes: 1024 * MiB, cpuMax: 1, pidsMax: 64 },
        pid: undefined,
        usage: undefined,
      }),
      fakeService('web', { usage: { memoryBytes: 812 * 1024, cpu: 0, pids: 2, throttledMs: 0 } }),
    ],
  });
  view.reasons = {
    analyser: [
      { code: 'wait.backoff', message: failed, at: NOW - 7_000 },
      {
        code: 'exit.oom',
        message: 'The kernel killed a process in it: memory reached 1 GiB',
        at: NOW - 7_200,
      },
      { code: 'start.retry', message: 'Start 14 after a wait of 4 s', at: NOW - 25 * 3_600_000 },
    ],
    camera: [
      { code: 'stop.not-desired', message: 'Release demo 1.0.0 no longer holds it', at: NOW - 60_000 },
    ],
  };
}

const line = (at: number, text: string, stream: 'stdout' | 'stderr' = 'stdout') => ({
  at: NOW + at,
  stream,
  text,
});

test('status of a healthy device', async () => {
  await expect(await transcript([['status'], ['status', '--json']])).toMatchFileSnapshot(golden('status'));
});

test('status of a device before enrolment', async () => {
  view.agentStatus = {
    ...fakeStatus({ services: [], link: { state: 'not-enrolled', since: NOW } }),
    device: { board: 'generic', platform: 'linux/amd64' },
    current: undefined,
    health: { ...fakeStatus().health, temperatureCelsius: undefined },
  };
  await expect(await transcript([['status'], ['ps']])).toMatchFileSnapshot(golden('fresh-device'));
});

test('a device in trouble', async () => {
  makeTrouble();
  const text = await transcript([['status'], ['ps'], ['why', 'analyser'], ['why', 'camera'], ['why', 'web']]);
  await expect(text).toMatchFileSnapshot(golden('trouble'));
});

test('a device in trouble, on a terminal of 80 columns', async () => {
  makeTrouble();
  const text = await transcript([['status'], ['ps'], ['why', 'analyser']], plain80);
  expect(text.split('\n').filter((line) => [...line].length > 80)).toEqual([]);
  await expect(text).toMatchFileSnapshot(golden('trouble-80-columns'));
});

test('a WebAssembly service is called one', async () => {
  view.agentStatus = fakeStatus({ services: [fakeService('sensor', { kind: 'wasm' }), fakeService('web')] });
  await expect(await transcript([['ps'], ['why', 'sensor']])).toMatchFileSnapshot(golden('wasm'));
});

test('names too long for the table stand above their row', async () => {
  makeTrouble();
  for (const service of view.agentStatus.services) service.name += '-of-the-second-camera';
  const text = await transcript([['ps']], plain80);
  expect(text.split('\n').filter((line) => [...line].length > 80)).toEqual([]);
  await expect(text).toMatchFileSnapshot(golden('long-names-80-columns'));
});

test('colours on a terminal', async () => {
  makeTrouble();
  view.write('web', line(1, 'listening'), line(2, 'cannot bind', 'stderr'));
  const text = await transcript([['status'], ['ps'], ['why', 'analyser'], ['logs', 'web']], terminal80);
  await expect(text).toMatchFileSnapshot(golden('colours'));
});

test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('no colours with %o', async (env) => {
  expect(await transcript([['status'], ['ps']], { ...terminal80, env })).not.toContain('␛');
});

test('ps', async () => {
  await expect(await transcript([['ps'], ['ps', '--json']])).toMatchFileSnapshot(golden('ps'));
});

test('why as JSON', async () => {
  makeTrouble();
  await expect(await transcript([['why', 'analyser', '--json']])).toMatchFileSnapshot(golden('why-json'));
});

test('logs', async () => {
  view.write('web', line(1, 'one'), line(20, 'two', 'stderr'), line(1300, '\u001b[31mthree\u001b[0m'));
  const commands = [
    ['logs', 'web'],
    ['logs', '-n', '1', 'web'],
    ['logs', 'web', '--lines=0'],
    ['logs', 'web', '--json'],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('logs'));
});

test('what a service writes cannot drive the terminal', async () => {
  view.write('web', line(1, 'a\u001b[2Jb\u0007c\u202ed\te'));
  expect(await transcript([['logs', 'web']], plain80)).toContain('Z abcd e\n');
});

test('inspect', async () => {
  view.inspections = {
    web: fakeInspection,
    sensor: {
      ...fakeInspection,
      service: 'sensor',
      kind: 'wasm',
      state: 'waiting',
      health: undefined,
      logs: undefined,
      runtime: undefined,
      network: { mode: 'none', segments: [], ports: [] },
      user: { uid: 0, gid: 0 },
      degraded: [],
      loosenings: [],
      dependsOn: [],
      devices: [],
      secrets: [],
      mounts: [],
      channels: [],
      budgets: fakeInspection.budgets.map(({ what, asked }) => ({ what, asked })),
    },
  };
  const commands = [
    ['inspect', 'web'],
    ['inspect', 'sensor'],
    ['inspect', 'wbe'],
    ['inspect', 'web', '--json'],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('inspect'));
  const narrow = await transcript([['inspect', 'web']], plain80);
  expect(narrow.split('\n').filter((text) => [...text].length > 80)).toEqual([]);
});

test('post-mortems', async () => {
  const none = await transcript([['postmortem', 'list']]);
  view.kept = [
    fakeCapsule,
    {
      v: 1,
      id: '019aa5f2c7ff-gone',
      at: NOW - 3_600_000,
      kind: 'crash',
      service: 'gone',
      reasons: [],
      log: [],
    },
  ];
  const text = await transcript([
    ['postmortem', 'list'],
    ['postmortem', 'list', '--json'],
    ['postmortem', 'show', fakeCapsule.id],
    ['postmortem', 'show', '019aa5f2c7ff-gone'],
    ['postmortem', 'show', 'x'],
    ['postmortem', 'show', fakeCapsule.id, '--json'],
    ['postmortem', 'show'],
    ['postmortem', 'lst'],
    ['postmortem'],
  ]);
  await expect(`${none}\n${text}`).toMatchFileSnapshot(golden('postmortem'));
});

test('a device short of everything: marks, shed load, faults and causes', async () => {
  const full = fullStatus();
  const cause = { code: 'stop.shed' as const, message: 'The device is short of memory', at: NOW - 60_000 };
  const root = {
    code: 'device.shed' as const,
    message: 'Memory pressure is 42 % for 10 s',
    at: NOW - 61_000,
  };
  const waits = {
    code: 'wait.shed' as const,
    message: 'It starts again when the device has recovered',
    at: NOW - 60_000,
    causes: [cause, root],
  };
  view.agentStatus = {
    ...full,
    services: [
      ...full.services,
      fakeService('sensor', { health: { state: 'healthy', since: NOW } }),
      fakeService('analyser', {
        state: 'shed',
        since: NOW - 60_000,
        reason: waits,
        pid: undefined,
        usage: undefined,
      }),
      fakeService('upload', {
        state: 'waiting',
        since: NOW - 5_000,
        pid: undefined,
        usage: undefined,
        reason: { code: 'wait.dependency', message: 'It waits for web to be healthy', at: NOW - 5_000 },
      }),
    ],
  };
  view.reasons = { analyser: [waits] };
  const commands = [['status'], ['ps'], ['why', 'analyser']];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('short-of-everything'));
  const narrow = await transcript(commands, plain80);
  expect(narrow.split('\n').filter((text) => [...text].length > 80)).toEqual([]);
});

test('restart', async () => {
  const commands = [
    ['restart', 'web'],
    ['restart', 'web', '--json'],
    ['--json', 'restart', 'web'],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('restart'));
  await transcript([['restart', 'web']], { env: { SUDO_USER: 'grace' } });
  expect(view.holds.restarts.map(({ who }) => who)).toEqual(['ada', 'ada', 'ada', 'grace']);
});

test('secrets', async () => {
  const none = await transcript([['secret', 'list']]);
  view.secrets.wanted = { token: ['web', 'sensor'], ca: ['web'] };
  view.secrets.kept.set('old', 'x');
  await writeFile(join(folder, 'key.pem'), 'pem text');
  await writeFile(join(folder, 'big'), Buffer.alloc(70_000));
  await writeFile(join(folder, 'empty'), '');
  const text = await transcript([
    ['secret', 'put', 'token'],
    ['secret', 'put', 'key', '--from-file', join(folder, 'key.pem')],
    ['secret', 'list'],
    ['secret', 'list', '--json'],
    ['secret', 'remove', 'token'],
    ['secret', 'remove', 'token', '--json'],
    ['secret', 'put', 'token', 'hunter3'],
    ['secret', 'put', 'Token'],
    ['secret', 'remove', '../ledger.db'],
    ['secret', 'put', 'big', '--from-file', join(folder, 'big')],
    ['secret', 'put', 'empty', '--from-file', join(folder, 'empty'), '--json'],
    ['secret', 'put', 'x', '--from-file', join(folder, 'nothing')],
    ['secret'],
  ]);
  const terminal = await transcript([['secret', 'put', 'token']], {
    stdin: Object.assign(Readable.from(['typed']), { isTTY: true }),
  });
  await expect(`${none}\n${text}\n${terminal}`).toMatchFileSnapshot(golden('secret'));
  expect(`${none}${text}${terminal}`).not.toMatch(/hunter2|pem text|typed/);
  expect([...view.secrets.kept]).toEqual([
    ['old', 'x'],
    ['key', 'pem text'],
  ]);
  expect(view.secrets.changes.slice(0, 3)).toEqual(['ada put token', 'ada put key', 'ada removed token']);
});

test('version', async () => {
  const text = await transcript([['version'], ['version', '--json'], ['--version']]);
  view.agentStatus.agent.version = clientVersion().version;
  const same = await transcript([['version']]);
  await expect(`${text}\n${same}`).toMatchFileSnapshot(golden('version'));
});

test('unknown services', async () => {
  const commands = [
    ['why', 'snesor'],
    ['logs', 'sensr', '-f'],
    ['restart', 'camera'],
    ['why', 'webb', '--json'],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('unknown-service'));
});

test('bad usage', async () => {
  const commands = [
    ['stauts'],
    ['frobnicate', '--json'],
    ['ps', '--jsn'],
    ['-x', 'ps'],
    ['why'],
    ['why', 'web', 'sensor'],
    ['logs', 'web', '-n'],
    ['logs', 'web', '-n', 'many'],
    ['logs', 'web', '-n', '-5'],
    ['ps', '--json=yes'],
    ['ps', '--socket'],
    [],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('usage'));
});

test('help', async () => {
  const nouns = [
    'status',
    'ps',
    'logs',
    'why',
    'inspect',
    'postmortem list',
    'postmortem show',
    'restart',
    'secret put',
    'secret list',
    'secret remove',
    'version',
  ];
  const text = await transcript([['--help'], ...nouns.map((noun) => [...noun.split(' '), '--help'])]);
  expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  await expect(text).toMatchFileSnapshot(golden('help'));
});

test('the agent is down', async () => {
  await bench.agentDown();
  await writeFile(join(folder, 'file'), '');
  const commands = [
    ['status'],
    ['ps', '--json'],
    ['logs', 'web', '-f'],
    ['restart', 'web'],
    ['secret', 'put', 'token'],
    ['version'],
    ['version', '--json'],
    ['ps', '--socket', join(folder, 'file')],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('agent-down'));
});

test('something else answers at the socket', async () => {
  const path = join(folder, 'other.sock');
  const other = createServer((connection) => connection.end('220 mail ready\r\n')).listen(path);
  const text = await transcript([['status', '--socket', path]]);
  other.close();
  await expect(text).toMatchFileSnapshot(golden('not-an-agent'));
});

test('the agent cuts the call off', async () => {
  const path = join(folder, 'busy.sock');
  const busy = createServer((connection) => connection.destroy()).listen(path);
  const text = await transcript([['status', '--socket', path]]);
  busy.close();
  await expect(text).toMatchFileSnapshot(golden('agent-busy'));
});

test('the agent fails inside', async () => {
  view.status = () => {
    throw new Error('broken invariant');
  };
  await expect(await transcript([['status']])).toMatchFileSnapshot(golden('agent-fails'));
});
