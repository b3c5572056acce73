// wherry-ipc as a person in a container uses it.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildIpc, type IpcArch, ipcFolder } from '../../ipc/build.ts';
import { makeChannel } from '../support/ipc-channel.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';
import { until } from '../support/until.ts';

const ARCH = process.arch as IpcArch;
const PROGRAM = join(ipcFolder(ARCH), 'wherry-ipc');
const bench = new IpcBench();
afterAll(() => bench.remove());
let dir: string;
beforeAll(async () => {
  await buildIpc(() => {}, [ARCH]);
  dir = bench.channels();
  makeChannel(dir, {
    name: 'frames',
    publishers: ['camera', 'mic'],
    subscribers: ['detector', 'recorder'],
    slotSize: 100,
    depth: 8,
  });
}, 120_000);

const as = (service: string) => ({ env: { WHERRY_IPC_DIR: dir, WHERRY_SERVICE: service } });
const ipc = (service: string, ...args: string[]) => outcome([PROGRAM, ...args], as(service));

/** `wherry-ipc pub` with these lines, in printf's words, on its input. */
const publish = (service: string, lines: string) =>
  outcome(['sh', '-c', 'printf "$1" | "$2" pub frames', 'sh', lines, PROGRAM], as(service));

const isAsleep = async (service: string) =>
  /"waiting":true/.test((await ipc(service, 'stat', 'frames', '--json')).stdout);

test('lists the channels of its service', async () => {
  expect((await ipc('camera', 'list')).stdout).toBe(
    'CHANNEL                  ROLE     MODE            SLOT  DEPTH PUBS SUBS\n' +
      'frames                   pub      lossy            100      8    2    2\n',
  );
  expect(JSON.parse((await ipc('detector', 'list', '--json')).stdout)).toEqual({
    channel: 'frames',
    publish: false,
    subscribe: true,
    mode: 'lossy',
    slotSize: 100,
    depth: 8,
    publishers: 2,
    subscribers: 2,
  });
  expect(await ipc('stranger', 'list')).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('publishes lines and prints them, raw, as text or as JSON', async () => {
  await publish('camera', 'one\ntwo\n');
  expect((await ipc('detector', 'sub', 'frames', '--count', '2')).stdout).toBe('one\ntwo\n');

  expect((await ipc('recorder', 'sub', 'frames', '--raw', '--count', '2')).stdout).toBe('onetwo');

  await publish('mic', 'h"\\303\\251\\377\n');
  const message = JSON.parse((await ipc('detector', 'sub', 'frames', '--json', '--count', '1')).stdout);
  expect(message).toMatchObject({
    publisher: 'mic',
    sequence: 0,
    epoch: 1,
    length: 5,
    lost: 0,
    text: 'h"é\ufffd',
  });
  expect([...Buffer.from(message.base64, 'base64')]).toEqual([0x68, 0x22, 0xc3, 0xa9, 0xff]);
});

test('wakes a subscriber that waits', async () => {
  const waiting = spawn(PROGRAM, ['sub', 'frames', '--count', '1'], { env: as('recorder').env });
  let printed = '';
  waiting.stdout.on('data', (data) => (printed += data));
  // What another test left for the recorder may come first.
  await until(async () => printed !== '' || (await isAsleep('recorder')));

  await publish('camera', 'woken\n');

  await until(() => printed.includes('\n'));
  expect(printed).toMatch(/^.*\n$/);
});

test('publishes a file as one message and refuses what is longer than a slot', async () => {
  const file = join(bench.programs, 'message');
  writeFileSync(file, 'x'.repeat(100));
  expect(await ipc('camera', 'pub', 'frames', '--file', file, '--type', '7')).toMatchObject({
    code: 0,
    stderr: '',
  });

  writeFileSync(file, 'x'.repeat(101));
  expect(await ipc('camera', 'pub', 'frames', '--file', file)).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'Cannot publish to "frames": the message is longer than the slot or the buffer; declare a larger slotSize\n',
  });
});

test('shows what both ends did', async () => {
  const state = JSON.parse((await ipc('camera', 'stat', '--json')).stdout);

  expect(state).toMatchObject({ channel: 'frames', mode: 'lossy', slotSize: 100, depth: 8 });
  expect(state.publishers[0]).toMatchObject({
    name: 'camera',
    up: true,
    seen: true,
    published: 4,
    dropped: 0,
  });
  expect(state.subscribers[0]).toMatchObject({
    name: 'detector',
    seen: true,
    received: 3,
    torn: 0,
    waiting: false,
  });
  expect((await ipc('camera', 'stat', 'frames')).stdout).toMatch(
    /^frames \(lossy, 8 x 100 bytes\)\n {2}pub camera +up/,
  );
});

test.each([
  [['pub'], 2, 'Cannot run wherry-ipc: pub needs a channel; wherry-ipc list shows them'],
  [['watch'], 2, 'Cannot run wherry-ipc: there is no command "watch"'],
  [['list', '--raw'], 2, 'Cannot run wherry-ipc: list does not know --raw'],
  [['sub', 'frames', '--count', 'x'], 2, 'Cannot run wherry-ipc: --count is "x"; give a number from 0 to'],
  [['sub', 'frames', '--count'], 2, 'Cannot run wherry-ipc: --count has no value; give one after it'],
  [['sub', 'frames', '--raw', '--json'], 2, 'Cannot run wherry-ipc: --json and --raw exclude each other'],
  [['sub', 'frames', 'more'], 2, 'Cannot run wherry-ipc: "more" is one word too many'],
  [['sub', 'frames'], 1, 'Cannot subscribe to "frames": the release does not give this service this end'],
  [['sub', 'absent'], 1, 'Cannot subscribe to "absent": there is no such channel'],
  [['stat', '../x'], 1, 'Cannot look at "../x": an argument is not usable'],
])('%j says what is wrong', async (args, code, message) => {
  const ended = await ipc('camera', ...args);
  expect(ended).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
});

test('a subscriber that hears nothing for long enough ends with 1', async () => {
  const quiet = { name: 'quiet', publishers: ['camera'], subscribers: ['detector'], slotSize: 64, depth: 2 };
  makeChannel(dir, quiet);
  expect(await ipc('detector', 'sub', 'quiet', '--timeout', '30')).toMatchObject({
    code: 1,
    stderr: 'Cannot take from "quiet": no message in 30 ms\n',
  });
});
