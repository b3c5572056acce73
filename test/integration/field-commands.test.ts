import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAgent } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { TmuxTerminal } from '../support/tmux.ts';
import { until } from '../support/until.ts';

/** `exec`, `top` and `logs` as a technician runs them, on a real agent over real containers, in a real terminal. */
let fleet: TestFleet;
let device: RealDevice;
let terminal: TmuxTerminal;

const WHERRY = join(ROOT, 'bin/wherry');
const TICKS =
  'trap "exit 0" TERM; echo begins; i=0; while :; do echo tick $i; i=$((i + 1)); sleep 0.2 & wait $!; done';

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  device = await RealDevice.create(fleet, 'field', publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline, {
    what: 'the device to enrol and connect',
  });
  const layers = [await busyboxLayer()];
  const args = ['/bin/sh', '-c', TICKS];
  const release = serviceRelease('1', { ticker: { layers, args }, other: { layers, args } });
  const releaseId = await publisher.publish(release);
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  await until(async () => Object.values(await device.pids()).filter(Boolean).length === 2, {
    timeoutMs: 40_000,
    what: 'both services',
  });
  terminal = new TmuxTerminal(device.dir, { WHERRY_SOCKET: device.socket });
}, 120_000);

afterAll(async () => {
  terminal?.close();
  await device?.remove();
  await fleet?.close();
}, 60_000);

/** Command lines of the programs in the container of a service, its first one left out. */
async function programsIn(service: string): Promise<string[]> {
  const pid = (await device.pids())[service];
  const namespace = linkOf(`/proc/${pid}/ns/pid`);
  return readdirSync('/proc').flatMap((other) => {
    if (!/^\d+$/.test(other) || other === `${pid}` || linkOf(`/proc/${other}/ns/pid`) !== namespace)
      return [];
    return [commandOf(other)].filter(Boolean);
  });
}

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

interface Begun {
  said: { stdout: string; stderr: string };
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  child: ReturnType<typeof spawn>;
}

function begin(...args: string[]): Begun {
  const child = spawn(WHERRY, args, { env: { ...process.env, WHERRY_SOCKET: device.socket } });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (data) => (said.stdout += data));
  child.stderr.on('data', (data) => (said.stderr += data));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, ...said })),
  );
  return { said, ended, child };
}

test('exec passes stdin, stdout, stderr and the exit code on, and says who ran what', async () => {
  const { child, ended } = begin(
    'exec',
    'ticker',
    '-i',
    '--',
    'sh',
    '-c',
    'cat; id -u; echo wrong >&2; exit 3',
  );
  child.stdin?.end('given\n');
  expect(await ended).toEqual({ code: 3, stdout: 'given\n1000\n', stderr: 'wrong\n' });
  const [killed, missing] = [
    await device.cli('exec', 'ticker', '--', 'sh', '-c', 'kill -9 $$'),
    await device.cli('exec', 'ticker', '--', 'bash'),
  ];
  expect([killed.code, missing.code]).toEqual([137, 127]);
  expect(missing.stderr).toBe(
    'wherry: Cannot run "bash" in service "ticker": its container has no such program\n',
  );
  const events = await device.cli('events', '--service', 'ticker', '--json');
  expect(events.stdout).toMatch(/"exec\.opened".* ran sh in it"/);
});

test('a client that is killed, or stopped by Ctrl-C, leaves nothing running', async () => {
  const stubborn = 'trap "" INT TERM HUP; echo on; sleep 1000 & while :; do sleep 77; done';
  for (const signal of ['SIGKILL', 'SIGINT'] as const) {
    const { child, said, ended } = begin('exec', 'ticker', '-i', '--', 'sh', '-c', stubborn);
    await until(() => said.stdout === 'on\n', { what: 'the program' });
    await until(async () => (await programsIn('ticker')).includes('sleep 77'), { what: 'its child' });
    // More than anybody reads: the agent has to notice all the same.
    child.stdin?.write('x'.repeat(2_000_000));
    child.stdin?.on('error', () => {});
    child.kill(signal);
    expect((await ended).code).toBe(signal === 'SIGINT' ? 130 : null);
    await until(async () => !(await programsIn('ticker')).some((line) => /sleep (77|1000)|trap/.test(line)), {
      what: 'nothing to be left',
    });
  }
});

test('exec -t has the size of the terminal and follows it, takes Ctrl-C, and gives the terminal back', async () => {
  terminal.type(`cd ${device.dir}; clear; ${WHERRY} exec ticker -it -- sh; echo ended with $?`);
  terminal.press('Enter');
  await terminal.shows('/ $');
  terminal.type('stty size; sleep 100');
  terminal.press('Enter');
  await terminal.shows(/^24 80$/m);
  terminal.press('C-c');
  terminal.type('echo interrupted $?');
  terminal.press('Enter');
  await terminal.shows(/^interrupted 130$/m);
  terminal.resize(100, 30);
  await until(
    async () => {
      terminal.type('stty size');
      terminal.press('Enter');
      return /^30 100$/m.test(terminal.screen);
    },
    { what: 'the new size' },
  );
  terminal.resize(80, 24);
  terminal.type('exit 7');
  terminal.press('Enter');
  await terminal.shows('ended with 7');
  const modes = 'stty -a | tail -n +2';
  terminal.type(
    `clear; a=$(${modes}); ${WHERRY} exec ticker -t -- true; b=$(${modes}); [ "$a" = "$b" ] && echo the same`,
  );
  terminal.press('Enter');
  await terminal.shows(/^the same$/m);
  expect((await programsIn('ticker')).filter((line) => line === 'sh')).toEqual([]);
});

test('top fits the terminal, follows it, and leaves it as it was', async () => {
  terminal.type('clear; echo here I was; stty -a | md5sum > a');
  terminal.press('Enter');
  await terminal.shows(/^here I was$/m);
  terminal.type(`${WHERRY} top; stty -a | md5sum | cmp - a && echo ended with $?`);
  terminal.press('Enter');
  const first = await terminal.shows('2 of 2 up, by cpu');
  expect(first).toMatch(/^ticker +running +0\.\d\d\/[\d.]+ +[\d.]+[KM]\/16M /m);
  expect(first).not.toContain('here I was');
  terminal.press('n');
  await terminal.shows(/by name[^]*\nother [^]*\nticker /);
  terminal.resize(60, 5);
  await terminal.shows('and 2 more');
  terminal.resize(80, 24);
  await terminal.shows(/\nticker /);
  terminal.press('q');
  const after = await terminal.shows('ended with 0');
  expect(after).toMatch(/^here I was$/m);
});

test('logs follow a service over its own restart and the agent’s, each line once, and tell the run before', async () => {
  const { child, said, ended } = begin('logs', 'ticker', 'other', '-f', '-n', '0', '--json');
  await until(() => /"ticker".*tick/.test(said.stdout) && /"other".*tick/.test(said.stdout), {
    what: 'lines of both',
  });
  await device.cli('restart', 'ticker');
  await until(() => /"ticker".*begins/.test(said.stdout), { what: 'the new run' });
  await device.kill();
  await device.start();
  const seen = said.stdout.length;
  await until(() => /"ticker".*tick/.test(said.stdout.slice(seen)), { what: 'lines after the agent' });
  child.kill('SIGINT');
  expect((await ended).code).toBe(0);
  const ticks = said.stdout
    .split('\n')
    .flatMap((line) => (line ? [JSON.parse(line) as { service: string; text: string }] : []))
    .filter(({ service }) => service === 'ticker')
    .map(({ text }) => text);
  const lastRun = ticks.slice(ticks.indexOf('begins') + 1);
  expect(lastRun).toEqual(lastRun.map((_text, index) => `tick ${index}`));

  const before = await device.cli('logs', 'ticker', '--previous', '-n', '10000');
  const now = await device.cli('logs', 'ticker', '-n', '10000', '--grep', '^begins$');
  expect(before.stdout).toMatch(/ begins\n.* tick 0\n/);
  expect(before.stdout.match(/begins/g)).toHaveLength(1);
  expect(now.stdout.match(/begins/g)).toHaveLength(2);
});
