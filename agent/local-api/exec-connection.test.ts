/** The agent's end of `exec` against callers that do not keep to the protocol. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { FRAME, FRAME_LIMITS, type Frame, FrameReader, frame } from './exec-frames.ts';
import { FakeAgentView } from './fake-agent-view.ts';
import { FakeExecSession } from './fake-exec.ts';
import { fakeStatus } from './fake-status.ts';
import { type LocalApi, serveLocalApi } from './server.ts';

let folder: string;
let view: FakeAgentView;
let api: LocalApi;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-exec-'));
  view = new FakeAgentView(fakeStatus());
  api = await serveLocalApi({
    view,
    socketPath: join(folder, 'agent.sock'),
    onError: (error) => {
      throw error;
    },
  });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await api.close();
  await rm(folder, { recursive: true });
});

async function call(path = '/v1/services/web/exec', upgrade = 'wherry-exec', method = 'GET') {
  const socket = connect(join(folder, 'agent.sock'));
  sockets.push(socket);
  const got = { head: '', frames: [] as Frame[], isClosed: false };
  const reader = new FrameReader();
  socket.on('error', () => {});
  socket.on('close', () => (got.isClosed = true));
  socket.on('data', (data) => {
    if (got.head.endsWith('\r\n\r\n')) return got.frames.push(...reader.push(data));
    const text = data.toString('latin1');
    const end = text.indexOf('\r\n\r\n') + 4;
    got.head += text.slice(0, end);
    return got.frames.push(...reader.push(data.subarray(end)));
  });
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`);
  await until(() => got.head.endsWith('\r\n\r\n') || got.isClosed, { what: 'an answer' });
  return { socket, got };
}

const opening = frame(FRAME.open, { argv: ['sh'] });

async function running() {
  const session = new FakeExecSession();
  view.exec.next = [session];
  const { socket, got } = await call();
  socket.write(opening);
  await until(() => got.frames[0]?.kind === FRAME.opened, { what: 'the program' });
  return { session, socket, got };
}

test.each([
  ['/v1/services/web/logs', 'wherry-exec', 'GET'],
  ['/v1/services/web/exec', 'websocket', 'GET'],
  ['/v1/services/web/exec', 'wherry-exec', 'POST'],
  ['/nowhere', 'h2c', 'GET'],
])('an upgrade of %s to %s by %s is refused', async (path, upgrade, method) => {
  const { got } = await call(path, upgrade, method);
  expect(got.head).toMatch(/^HTTP\/1.1 400 /);
});

test.each([
  ['stdin before the request', frame(FRAME.stdin, Buffer.from('x'))],
  ['no JSON', frame(FRAME.open, Buffer.from('{'))],
  ['no program', frame(FRAME.open, { argv: [] })],
  ['an empty program', frame(FRAME.open, { argv: [''] })],
  ['a zero byte', frame(FRAME.open, { argv: ['sh', 'a\0b'] })],
  ['an unknown field', frame(FRAME.open, { argv: ['sh'], privileged: true })],
  ['capabilities', frame(FRAME.open, { argv: ['sh'], capabilities: ['CAP_SYS_ADMIN'] })],
  ['a terminal without a size', frame(FRAME.open, { argv: ['sh'], terminal: { term: 'xterm' } })],
  [
    'a terminal of no width',
    frame(FRAME.open, { argv: ['sh'], terminal: { columns: 0, rows: 1, term: 'x' } }),
  ],
  [
    'a TERM with an escape',
    frame(FRAME.open, { argv: ['sh'], terminal: { columns: 9, rows: 9, term: '\u001b[' } }),
  ],
  ['a user by name', frame(FRAME.open, { argv: ['sh'], user: 'root' })],
  ['a relative folder', frame(FRAME.open, { argv: ['sh'], workingDir: 'etc' })],
  ['a variable that is none', frame(FRAME.open, { argv: ['sh'], environment: { 'A=B': 'x' } })],
  ['a frame that is too long', Buffer.from([FRAME.open, 0x7f, 0xff, 0xff, 0xff])],
])('%s is refused, and nothing is run', async (_what, bytes) => {
  const { socket, got } = await call();
  socket.write(bytes);
  await until(() => got.isClosed, { what: 'the end' });
  expect(got.frames.map(({ kind }) => kind)).toEqual([FRAME.refused]);
  expect(JSON.parse(got.frames[0]?.content.toString() ?? '')).toMatchObject({
    code: 'bad-body',
    status: 400,
  });
  expect(view.exec.opened).toEqual([]);
});

test('a frame that comes in pieces is one', async () => {
  view.exec.next = [new FakeExecSession().exit(0)];
  const { socket, got } = await call();
  for (const byte of opening) socket.write(Buffer.from([byte]));
  await until(() => got.isClosed, { what: 'the end' });
  expect(got.frames.map(({ kind }) => kind)).toEqual([FRAME.opened, FRAME.exit]);
});

test('a second request, or a size that is none, ends the program', async () => {
  for (const bytes of [opening, frame(FRAME.resize, { columns: -1, rows: 5 }), frame(99)]) {
    const { session, socket } = await running();
    socket.write(bytes);
    await until(() => session.isClosed, { what: 'the program to be ended' });
    expect(session.stdin).toBe('');
  }
});

test('a caller that gives more than was asked for is cut off, however little the program takes', async () => {
  const { session, socket, got } = await running();
  session.write = () => new Promise(() => {});
  const part = frame(FRAME.stdin, Buffer.alloc(FRAME_LIMITS.contentBytes));
  for (let sent = 0; sent <= FRAME_LIMITS.windowBytes; sent += FRAME_LIMITS.contentBytes) socket.write(part);
  await until(() => got.isClosed && session.isClosed, { what: 'the end' });
  expect(got.frames.at(-1)?.kind).toBe(FRAME.refused);
});

test('a caller that half-closes, or goes, ends a program that takes no input', async () => {
  for (const go of ['end', 'destroy'] as const) {
    const { session, socket } = await running();
    session.write = () => new Promise(() => {});
    socket.write(frame(FRAME.stdin, Buffer.from('x')));
    socket[go]();
    await until(() => session.isClosed, { what: 'the program to be ended' });
    expect(session.hasInputEnded).toBe(false);
  }
});

test('what runs is ended with the local API', async () => {
  const { session, got } = await running();
  await api.close();
  await until(() => session.isClosed, { what: 'the program to be ended' });
  expect(got.frames.map(({ kind }) => kind)).toEqual([FRAME.opened]);
});

test('a plain request is told how', async () => {
  const response = await new Promise<string>((resolve) => {
    const socket = connect(join(folder, 'agent.sock'));
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    socket.on('close', () => resolve(text));
    socket.write('GET /v1/services/web/exec HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  });
  expect(response).toMatch(/^HTTP\/1.1 426 .*"upgrade-required"/s);
});
