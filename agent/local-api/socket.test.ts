import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { FakeAgentView } from './fake-agent-view.ts';
import { fakeStatus } from './fake-status.ts';
import { type LocalApi, serveLocalApi } from './server.ts';

let folder: string;
const open: LocalApi[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-socket-'));
});

afterEach(async () => {
  for (const api of open.splice(0)) await api.close();
  await rm(folder, { recursive: true });
});

async function serve(socketPath: string, groups = ''): Promise<LocalApi> {
  const file = join(folder, 'group');
  await writeFile(file, groups);
  const view = new FakeAgentView(fakeStatus());
  const api = await serveLocalApi({ view, socketPath, group: { name: 'wherry', file }, onError: () => {} });
  open.push(api);
  return api;
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test('the socket is for owner and group only, in a folder that callers can pass, and goes when closed', async () => {
  const path = join(folder, 'run', 'wherry', 'agent.sock');
  const mask = process.umask(0o077);
  const api = await serve(path);
  process.umask(mask);
  expect(await modeOf(path)).toBe(0o660);
  expect(await modeOf(join(folder, 'run', 'wherry'))).toBe(0o755);
  await api.close();
  expect(existsSync(path)).toBe(false);
});

test.runIf(process.getuid?.() === 0)('the socket belongs to the group where there is one', async () => {
  const path = join(folder, 'agent.sock');
  await serve(path, 'root:x:0:\nwherryish:x:5:\nwherry:x:4242:ada\n');
  expect((await stat(path)).gid).toBe(4242);
  await serve(join(folder, 'other.sock'), 'root:x:0:\nbroken\n');
  expect((await stat(join(folder, 'other.sock'))).gid).toBe(process.getgid?.());
});

test('what a killed agent left is replaced', async () => {
  const path = join(folder, 'agent.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(path)})`;
  const killed = spawn(process.execPath, ['-e', script]);
  await until(() => existsSync(path), { what: 'the first socket' });
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(existsSync(path)).toBe(true);
  await expect(serve(path)).resolves.toBeDefined();
});

test('a live agent’s socket is refused and stays', async () => {
  const path = join(folder, 'agent.sock');
  await serve(path);
  await expect(serve(path)).rejects.toMatchObject({
    code: 'socket-in-use',
    message: `Cannot listen on ${path}: an agent answers there already; stop it or choose another path`,
  });
  expect(existsSync(path)).toBe(true);
});

test('what is not a socket is never removed', async () => {
  const file = join(folder, 'notes.txt');
  await writeFile(file, 'keep');
  await expect(serve(file)).rejects.toMatchObject({ code: 'socket-path' });
  const link = join(folder, 'link');
  await symlink(file, link);
  await expect(serve(link)).rejects.toMatchObject({ code: 'socket-path' });
  expect(existsSync(file)).toBe(true);
});

test('a path longer than the kernel takes is refused by name', async () => {
  const path = join(folder, 'x'.repeat(108));
  await expect(serve(path)).rejects.toThrow(/bytes; wanted at most 107$/);
});
