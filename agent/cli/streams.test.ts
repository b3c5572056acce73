import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeStatus, NOW } from '../local-api/fake-status.ts';
import { type LocalApi, serveLocalApi } from '../local-api/server.ts';
import { FakeTerminal } from './fake-terminal.ts';

let folder: string;
let socket: string;
let view: FakeAgentView;
let api: LocalApi;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-streams-'));
  socket = join(folder, 'agent.sock');
  view = new FakeAgentView(fakeStatus());
  api = await serveLocalApi({ view, socketPath: socket, onError: () => {} });
});

afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

const line = (text: string) => ({ at: NOW, stream: 'stdout' as const, text });

test('logs -f prints lines as they come and ends with 0 on Ctrl-C', async () => {
  view.write('web', line('before'));
  const terminal = new FakeTerminal();
  const code = terminal.run('logs', 'web', '-f', '-n', '0', '--socket', socket);
  await until(() => view.followers.size === 1, { what: 'the follower' });
  view.write('web', line('now'));
  await until(() => terminal.stdout, { what: 'the line' });
  terminal.stop.abort();
  expect(await code).toBe(0);
  expect(terminal.seen).toBe('2026-11-21T10:00:00.000Z now\n');
  await until(() => view.followers.size === 0, { what: 'the agent to let go' });
});

test('logs -f goes on when the agent comes back, each line once', async () => {
  view.write('web', line('one'), line('two'));
  const terminal = new FakeTerminal();
  const code = terminal.run('logs', 'web', '-f', '--socket', socket);
  await until(() => view.followers.size === 1, { what: 'the follower' });
  view.write('web', line('three'), { ...line('four'), at: NOW + 5 });
  await until(() => terminal.stdout.includes('four'), { what: 'the lines' });
  await api.close();
  await until(() => terminal.stderr, { what: 'a word about the agent' });
  view.write('web', { ...line('five'), at: NOW + 5 }, { ...line('six'), at: NOW + 7 });
  api = await serveLocalApi({ view, socketPath: socket, onError: () => {} });
  await until(() => terminal.stdout.includes('six'), { what: 'the agent to be found again' });
  terminal.stop.abort();
  expect(await code).toBe(0);
  const said = terminal.stdout.split('\n').map((text) => text.split(' ')[1]);
  expect(said).toEqual(['one', 'two', 'three', 'four', 'five', 'six', undefined]);
  expect(terminal.stderr).toBe('The agent is away; its services run on. Waiting for it, Ctrl-C ends\n');
});

test('logs -f of several services ends when one of them is not there', async () => {
  const terminal = new FakeTerminal();
  const code = terminal.run('logs', 'web', 'sensor', '-f', '--socket', socket);
  await until(() => view.followers.size === 2, { what: 'both' });
  view.write('sensor', line('s'));
  view.write('web', line('w'));
  await until(() => terminal.stdout.split('\n').length === 3, { what: 'both lines' });
  expect(terminal.stdout.split('\n').toSorted()).toEqual([
    '',
    '2026-11-21T10:00:00.000Z sensor  s',
    '2026-11-21T10:00:00.000Z web     w',
  ]);
  await api.close();
  view.agentStatus = fakeStatus({ services: [] });
  api = await serveLocalApi({ view, socketPath: socket, onError: () => {} });
  expect(await code).toBe(1);
});

test('what the agent cuts off without a follower is said', async () => {
  const terminal = new FakeTerminal();
  const server = createServer((_request, response) => {
    response.write('{"at":0,"stream":"stdout","text":"x"}\n', () => response.destroy());
  });
  const other = join(folder, 'other.sock');
  await new Promise<void>((resolve) => server.listen(other, resolve));
  expect(await terminal.run('logs', 'web', '--socket', other)).toBe(3);
  expect(terminal.stderr).toBe(
    'wherry: Cannot read on: the agent went away in the middle of the log\n' +
      '  Its services run on without it; try again\n',
  );
  server.close();
});

test('a reader that has had enough ends the command with 0', async () => {
  view.write('web', line('one'), line('two'));
  const stdout = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  });
  stdout.on('error', () => {});
  const terminal = new FakeTerminal({ stdout });
  expect(await terminal.run('logs', 'web', '--socket', socket)).toBe(0);
  expect(terminal.stderr).toBe('');
});

test('Ctrl-C before the answer ends with 130', async () => {
  const terminal = new FakeTerminal();
  terminal.stop.abort();
  expect(await terminal.run('status', '--socket', socket)).toBe(130);
  expect(terminal.seen).toBe('');
});

test('bin/wherry runs through symbolic links from any folder', async () => {
  await mkdir(join(folder, 'bin'));
  await symlink(join(import.meta.dirname, '../../bin/wherry'), join(folder, 'first'));
  await symlink('../first', join(folder, 'bin', 'wherry'));
  const options = { cwd: folder, encoding: 'utf8' as const, env: { PATH: process.env['PATH'] } };
  const run = (...argv: string[]) => spawnSync(join(folder, 'bin', 'wherry'), argv, options);
  expect(run('--help')).toMatchObject({
    status: 0,
    stderr: '',
    stdout: expect.stringContaining('Usage: wherry'),
  });
  const down = run('ps', '--socket', join(folder, 'none.sock'));
  expect(down).toMatchObject({
    status: 3,
    stdout: '',
    stderr: expect.stringContaining('there is no such socket'),
  });
});
