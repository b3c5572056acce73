import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningAgent, startAgent } from '../../agent/agent.ts';
import { FakeTerminal } from '../../agent/cli/fake-terminal.ts';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { ROUTES } from '../../agent/local-api/routes.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { EMPTY_RECORD } from '../../agent/update/core/record.ts';
import { loadBoards } from '../../release/boards.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { busyboxLayer, serviceRelease } from '../support/service-release.ts';
import { until } from '../support/until.ts';

/** Nothing else on the machine spells this. */
const PLANTED = `planted-${process.pid}-5f3e9a`;
const READS = 'cat /run/token > /dev/null && echo it reads it; exec sleep 1000';

/** A whole agent without a server, with a release in its ledger whose service wants a secret. */
let dir: string;
let agent: RunningAgent;
let log = '';

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-secrets-'));
  chmodSync(dir, 0o711);
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  const layer = await busyboxLayer();
  const { manifest } = serviceRelease('1', { reader: { layers: [layer], args: ['/bin/sh', '-c', READS] } });
  const { reader } = manifest.services;
  if (reader) reader.secrets = [{ name: 'token', path: '/run/token' }];
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  copyFileSync(layer.path, blobs.pathOf(layer.verity));
  const quiet = pino({ level: 'silent' });
  const ledger = new PatientLedger({
    path: join(stateDir, 'ledger.db'),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log: quiet,
    onChange: () => undefined,
  });
  const release = { name: 'boat', version: '1', manifest: '0'.repeat(64), generation: 1 };
  const current = { release, manifest: JSON.stringify(manifest) };
  ledger.record({ ...EMPTY_RECORD, phase: 'committed', accepted: release, current }, []);
  ledger.close();
  const board = (await loadBoards(join(ROOT, 'board-configs'))).find(({ name }) => name === 'generic-amd64');
  if (!board) throw new Error('Cannot find board generic-amd64');
  agent = await startAgent(
    {
      name: 'secretive',
      board,
      stateDir,
      runDir: join(dir, 'run'),
      socket: join(dir, 'agent.sock'),
      trustRoot: join(dir, 'root.json'),
      instance: `sec${process.pid}`,
      runtime: 'crun',
      onStop: 'stop-services',
      reboot: 'never',
      logLevel: 'debug',
    },
    pino({ level: 'debug', base: null }, { write: (line) => void (log += line) }),
  );
});
afterAll(async () => {
  await agent.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function cli(stdin: string, ...argv: string[]): Promise<string> {
  const terminal = new FakeTerminal({ stdin: Readable.from([Buffer.from(stdin)]) });
  await terminal.run(...argv, '--socket', join(dir, 'agent.sock'));
  return terminal.seen;
}

const answer = (method: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath: join(dir, 'agent.sock'), method, path, agent: false }, (response) =>
      text(response).then(resolve, reject),
    );
    call.on('error', reject).end();
  });

/** Files below a folder that hold the text, mounts included. */
function holding(folder: string, wanted: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() && !path.includes('/layers/'))
    .filter((path) => readFileSync(path).includes(wanted));
}

test('a service waits for its secret, starts when it is put, and nothing but its tmpfs shows it', async () => {
  await until(async () => (await cli('', 'why', 'reader')).includes('wait.secret'), { what: 'the wait' });
  expect(await cli('', 'secret', 'list')).toMatch(/token +missing +reader/);
  expect(await cli(PLANTED, 'secret', 'put', 'token')).toContain('token: put');
  await until(async () => (await cli('', 'logs', 'reader')).includes('it reads it'), {
    timeoutMs: 3_000,
    what: 'the service, sooner than its next look of itself',
  });
  const own = join(dir, 'run/roots/reader/secrets/token');
  expect(holding(dir, PLANTED)).toEqual([own]);
  expect(statSync(own).mode & 0o777).toBe(0o400);
  const { pid } = JSON.parse(await answer('GET', '/v1/services')).services[0];
  expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain(PLANTED);
  const paths = ROUTES.filter(({ method }) => method === 'GET').map(({ path }) => path);
  for (const path of paths)
    for (const name of ['reader', 'token'])
      expect(await answer('GET', path.replace(':name', name))).not.toContain(PLANTED);
  expect(log).toContain('"service":"reader"');
  expect(log).not.toContain(PLANTED);
});

test('a secret that is removed stays with what runs, and the next start waits for it', async () => {
  expect(await cli('', 'secret', 'remove', 'token')).toContain('token: removed');
  expect(holding(dir, PLANTED)).toEqual([join(dir, 'run/roots/reader/secrets/token')]);
  await cli('', 'restart', 'reader');
  await until(async () => holding(dir, PLANTED).length === 0, { what: 'the end of its tmpfs' });
  await until(async () => (await cli('', 'ps')).includes('waiting'), { what: 'the wait' });
});
