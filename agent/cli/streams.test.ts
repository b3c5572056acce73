import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
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

test('logs -f says so when the agent goes away', async () => {
  const terminal = new FakeTerminal();
  const code = terminal.run('logs', 'web', '-f', '--socket', socket);
  await until(() => view.followers.size === 1, { what: 'the follower' });
  await api.close();
  expect(await code).toBe(3);
  expect(terminal.stderr).toBe(
    'wherry: Cannot read on: the agent went away in the middle of the log\n' +
      '  Its services run on without it; try again\n',
  );
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
