/** Golden transcripts of exec, top and logs of several services, as transcripts.test.ts. */
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import type { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeChannels } from '../local-api/fake-channels-view.ts';
import { FakeExecSession } from '../local-api/fake-exec.ts';
import { fakeService, fakeStatus, NOW } from '../local-api/fake-status.ts';
import { FakeTerminal } from './fake-terminal.ts';
import { FakeTty } from './fake-tty.ts';
import {
  golden,
  openTranscriptBench,
  plain80,
  type TranscriptBench,
  terminal80,
} from './transcript-bench.ts';

const MiB = 1024 ** 2;
const SEQUENCES = new RegExp(`${String.fromCodePoint(0x1b)}\\[[0-9;]*[A-Za-z]`, 'g');

let bench: TranscriptBench;
let view: FakeAgentView;
let transcript: TranscriptBench['transcript'];

beforeEach(async () => {
  bench = await openTranscriptBench();
  ({ view, transcript } = bench);
});

afterEach(() => bench.close());

const line = (at: number, text: string, stream: 'stdout' | 'stderr' = 'stdout') => ({
  at: NOW + at,
  stream,
  text,
});

test('logs of several services, since, grep and the run before', async () => {
  view.write('web', line(-700_000, 'long ago'), line(1, 'GET /a 200'), line(20, 'GET /b 500', 'stderr'));
  view.write('sensor', line(3, '21.5'), line(25, 'lost the bus', 'stderr'));
  view.previousRun = [line(-900_000, 'about to fall over')];
  const commands = [
    ['logs', 'web', 'sensor'],
    ['logs', 'web', 'sensor', 'web', '-n', '1'],
    ['logs', 'web', 'sensor', '--json', '-n', '1'],
    ['logs', 'web', '--since', '10m'],
    ['logs', 'web', '--since', '2026-11-21T10:00:00.010'],
    ['logs', 'web', 'sensor', '--grep', ' (4|5)\\d\\d$|bus'],
    ['logs', 'web', '--grep', 'GET', '-n', '1'],
    ['logs', 'web', '--previous'],
    ['logs', 'web', '--previous', '-f'],
    ['logs', 'web', '--since', 'yesterday'],
    ['logs', 'web', '--grep', '(a+'],
    ['logs', 'web', '--grep', '(a+)+\\1'],
    ['logs', 'web', 'snesor'],
    ['logs'],
  ];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('logs-of-several'));
});

const says = () => new FakeExecSession().say('out\n').say('wrong\n', 'stderr').exit(3);

test('exec', async () => {
  view.agentStatus = fakeStatus({
    services: [
      fakeService('web'),
      fakeService('rules', { kind: 'wasm' }),
      fakeService('analyser', { state: 'crash_looping', pid: undefined }),
    ],
  });
  const missing = 'wherry: Cannot run "bash" in service "web": its container has no such program\n';
  view.exec.next = [says(), says(), new FakeExecSession().say(missing, 'stderr').exit(127)];
  const commands = [
    ['exec', 'web', '--', 'sh', '-c', 'echo out; echo wrong >&2; exit 3'],
    ['exec', 'web', '--json', '--', 'sh', '-c', 'exit 3'],
    ['exec', 'web', '--', 'bash'],
    ['exec', 'web', '--', 'true', '--json'],
    ['exec', 'wbe', '--', 'sh'],
    ['exec', 'analyser', '--', 'sh'],
    ['exec', 'rules', '--json', '--', 'sh'],
    ['exec', 'web'],
    ['exec', 'web', '--'],
    ['exec', 'web', 'sh'],
    ['exec', '--', 'sh'],
    ['exec', 'web', '-it', '--', 'sh'],
    ['exec', 'web', '-t', '--json', '--', 'sh'],
    ['exec', 'web', '-x', '--', 'sh'],
    ['exec', 'web', '--', ...Array.from({ length: 257 }, () => 'x')],
    ['exec', '--help'],
  ];
  const text = (await transcript(commands)).replace(/( x){257}/, ' x … x');
  await bench.agentDown();
  const down = await transcript([['exec', 'web', '--', 'sh']]);
  await expect(`${text}\n${down}`).toMatchFileSnapshot(golden('exec'));
  expect(view.exec.opened[0]).toEqual({
    service: 'web',
    request: { argv: ['sh', '-c', 'echo out; echo wrong >&2; exit 3'] },
    who: 'ada',
  });
});

const run = (tty: FakeTty | undefined, stdin: Readable, ...argv: string[]) => {
  const terminal = new FakeTerminal({
    stdin,
    env: { USER: 'ada', TERM: 'vt100', WHERRY_SOCKET: `${bench.folder}/agent.sock` },
    ...(tty && { terminal: tty, isTTY: true }),
  });
  return { terminal, code: terminal.run(...argv) };
};

test('exec -i gives all of stdin, however slowly it is taken', async () => {
  const session = new FakeExecSession();
  view.exec.next = [session];
  const given = 'x'.repeat(1_000_000);
  const { code } = run(
    undefined,
    Readable.from([given.slice(0, 10), given.slice(10)]),
    'exec',
    'web',
    '-i',
    '--',
    'cat',
  );
  await until(() => session.hasInputEnded, { what: 'the end of stdin' });
  expect(session.stdin.length).toBe(given.length);
  session.exit(0);
  expect(await code).toBe(0);
});

test('without -i the program has nothing to read', async () => {
  const session = new FakeExecSession();
  view.exec.next = [session];
  const { code } = run(undefined, Readable.from(['secret']), 'exec', 'web', '--', 'cat');
  await until(() => session.hasInputEnded, { what: 'the end of stdin' });
  session.exit(0);
  expect([await code, session.stdin]).toEqual([0, '']);
});

test('exec -it: size, keys, new sizes; the terminal is given back', async () => {
  const tty = new FakeTty();
  const session = new FakeExecSession().say('# ');
  view.exec.next = [session];
  const { terminal, code } = run(tty, tty.stdin, 'exec', 'web', '-it', '--', 'sh');
  await until(() => terminal.stdout === '# ', { what: 'the prompt' });
  expect(view.exec.opened[0]?.request.terminal).toEqual({ columns: 80, rows: 24, term: 'vt100' });
  expect(tty.isRaw).toBe(true);
  tty.type('ls\r\u0003');
  tty.resize(100, 30);
  await until(() => session.stdin === 'ls\r\u0003' && session.sizes[0] === '100x30', {
    what: 'keys and size',
  });
  session.exit(5);
  expect(await code).toBe(5);
  expect([tty.isRaw, tty.watchers]).toEqual([false, 0]);
});

test('Ctrl-C without a terminal ends the program', async () => {
  const session = new FakeExecSession();
  view.exec.next = [session];
  const { terminal, code } = run(undefined, Readable.from([]), 'exec', 'web', '--', 'sleep', '9');
  await until(() => view.exec.opened.length === 1, { what: 'the program' });
  terminal.stop.abort();
  expect(await code).toBe(130);
  await until(() => session.isClosed, { what: 'the agent to end it' });
});

test('an agent that goes away ends exec -t with 3, the terminal given back', async () => {
  const tty = new FakeTty();
  const session = new FakeExecSession().say('on');
  view.exec.next = [session];
  const { terminal, code } = run(tty, tty.stdin, 'exec', 'web', '-t', '--', 'sh');
  await until(() => terminal.stdout === 'on', { what: 'the program' });
  await bench.agentDown();
  expect(await code).toBe(3);
  expect(tty.isRaw).toBe(false);
  await until(() => session.isClosed, { what: 'the program to be ended' });
});

const psi = (some: number) => ({ some, full: 0 });

function twentyServices(): void {
  const services = Array.from({ length: 20 }, (_none, index) =>
    fakeService(`service-${String(index).padStart(2, '0')}`, {
      usage: {
        memoryBytes: (index + 1) * 1.5 * MiB,
        cpu: index / 50,
        pids: 3,
        throttledMs: 0,
        ...(index % 3 === 0 && { memoryPressure: psi(index), ioPressure: psi(0), cpuPressure: psi(1) }),
      },
      restarts: index === 4 ? 1400 : 0,
      oomKills: index === 7 ? 2 : 0,
    }),
  );
  Object.assign(services[3] ?? {}, { name: 'a-service-of-the-second-camera-left' });
  Object.assign(services[5] ?? {}, { name: 'camera', isThrottled: true });
  Object.assign(services[6] ?? {}, { state: 'crash_looping', usage: undefined, pid: undefined });
  Object.assign(services[8] ?? {}, { name: 'detector' });
  view.agentStatus = fakeStatus({ services });
  view.channels.looks = [fakeChannels(0), fakeChannels(500)];
  view.onSample = () => {
    const { usage } = view.agentStatus.services[5] ?? {};
    if (usage) usage.throttledMs += 200;
  };
}

test('top of twenty services', async () => {
  twentyServices();
  const now = [NOW, NOW + 500];
  let looks = 0;
  const change = { now: () => now[Math.min(looks++, 1)] ?? NOW };
  const once = await transcript([['top', '--once', '--interval', '500ms']], { ...plain80, ...change });
  expect(once.split('\n').filter((text) => [...text].length > 80)).toEqual([]);
  const more: string[] = [];
  for (const argv of [
    ['--sort', 'memory'],
    ['--sort', 'name', '--once', '--json'],
  ]) {
    looks = 0;
    view.channels.looks = [fakeChannels(1_000), fakeChannels(1_000), fakeChannels(1_500)].slice(more.length);
    more.push(await transcript([['top', '--interval', '500ms', ...argv]], change));
  }
  const refused = await transcript([
    ['top', '--sort', 'size'],
    ['top', '--interval', '1ms'],
    ['top', '--help'],
  ]);
  await expect([once, ...more, refused].join('\n')).toMatchFileSnapshot(golden('top'));
});

test('live top fits 80x24, obeys its keys and a new size, and gives the terminal back', async () => {
  twentyServices();
  const tty = new FakeTty();
  const { terminal, code } = run(tty, tty.stdin, 'top');
  const frame = () => terminal.stdout.split('\u001b[H').at(-1) ?? '';
  const lines = () => frame().replaceAll(SEQUENCES, '').split('\r\n');
  await until(() => lines().length === 24, { what: 'a frame' });
  expect([tty.isRaw, tty.isOwnScreen]).toEqual([true, true]);
  expect(lines().filter((text) => [...text].length > 80)).toEqual([]);
  expect(frame().endsWith('\n')).toBe(false);
  expect(lines()[2]).toContain('by cpu');
  tty.type('n');
  await until(() => lines()[2]?.includes('by name'), { what: 'the order' });
  expect(lines()[4]).toMatch(/^a-servic.*left /);
  tty.resize(60, 10);
  await until(() => lines().length === 10, { what: 'the new size' });
  expect(lines().filter((text) => [...text].length > 60)).toEqual([]);
  expect(lines().at(-1)).toContain('and 15 more');
  tty.type('q');
  expect(await code).toBe(0);
  expect([tty.isRaw, tty.isOwnScreen, tty.watchers]).toEqual([false, false, 0]);
});

test('live top in colours, and Ctrl-C ends it', async () => {
  const tty = new FakeTty();
  const { terminal, code } = run(tty, tty.stdin, 'top');
  await until(() => terminal.stdout.includes('\u001b[32mrunning'), { what: 'a frame' });
  tty.type('\u0003');
  expect(await code).toBe(0);
});

test('top ends with the agent, the terminal given back', async () => {
  const tty = new FakeTty();
  const { terminal, code } = run(tty, tty.stdin, 'top', '--interval', '500ms');
  await until(() => terminal.stdout.includes('running'), { what: 'a frame' });
  await bench.agentDown();
  expect(await code).toBe(3);
  expect([tty.isRaw, tty.isOwnScreen]).toEqual([false, false]);
});

test('top on a dumb terminal prints one frame', async () => {
  const tty = new FakeTty();
  const text = await transcript([['top', '--interval', '500ms']], {
    ...terminal80,
    terminal: tty,
    env: { TERM: 'dumb' },
  });
  expect(text).toContain('2 of 2 up, by cpu\n');
  expect(tty.isOwnScreen).toBe(false);
});
