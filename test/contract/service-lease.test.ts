import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningAgent, startAgent } from '../../agent/agent.ts';
import { FakeTerminal } from '../../agent/cli/fake-terminal.ts';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { EMPTY_RECORD } from '../../agent/update/core/record.ts';
import { LEASE_FILE, LEASE_FOLDER } from '../../protocol/service-lease.ts';
import { loadBoards } from '../../release/boards.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { busyboxLayer, serviceRelease } from '../support/service-release.ts';
import { until } from '../support/until.ts';

const FILE = `${LEASE_FOLDER}/${LEASE_FILE}`;
const REST = 'echo ready; exec sleep 1000';
const SCRIPTS = {
  honest: `printf '600\\nmeasuring\\n' > ${FILE}.new; mv ${FILE}.new ${FILE}; while [ ! -e ${LEASE_FOLDER}/stop ]; do sleep 0.1; done; rm ${FILE}; ${REST}`,
  linker: `ln -s /proc/self/environ ${FILE}; ${REST}`,
  piper: `mkfifo ${FILE}; ${REST}`,
  folder: `mkdir ${FILE}; ${REST}`,
  filler: `printf '600\\n' > ${FILE}; yes x >> ${FILE}; ${REST}`,
  greedy: `printf '999999999\\n\\033[31mred\\n' > ${FILE}; ${REST}`,
  barred: `mkdir -p ${LEASE_FOLDER}; printf '600\\n' > ${FILE}; ${REST}`,
};

/** A whole agent without a server, with services that say in every way that they are busy. */
let dir: string;
let agent: RunningAgent;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-lease-'));
  chmodSync(dir, 0o711);
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  const layer = await busyboxLayer();
  const services = Object.entries(SCRIPTS).map(([name, script]) => [
    name,
    { layers: [layer], args: ['/bin/sh', '-c', script] },
  ]);
  const { manifest } = serviceRelease('1', Object.fromEntries(services));
  for (const [name, service] of Object.entries(manifest.services))
    if (name !== 'barred') service.update = { lease: true };
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  copyFileSync(layer.path, blobs.pathOf(layer.verity));
  const ledger = new PatientLedger({
    path: join(stateDir, 'ledger.db'),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log: pino({ level: 'silent' }),
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
      name: 'leases',
      board,
      stateDir,
      runDir: join(dir, 'run'),
      socket: join(dir, 'agent.sock'),
      trustRoot: join(dir, 'root.json'),
      instance: `lea${process.pid}`,
      runtime: 'crun',
      onStop: 'stop-services',
      reboot: 'never',
      logLevel: 'info',
    },
    pino({ level: 'silent' }),
  );
});
afterAll(async () => {
  await agent.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function cli(...argv: string[]): Promise<string> {
  const terminal = new FakeTerminal();
  await terminal.run(...argv, '--socket', join(dir, 'agent.sock'));
  return terminal.stdout;
}

const leases = async (): Promise<{ holder: string; why: string; until: number; kind: string }[]> =>
  JSON.parse(await cli('lease', 'show', '--json')).leases;
const folderOf = (service: string): string => join(dir, 'run/roots', service, 'lease');

test('a service says that it is busy; what is no plain file of a time is no lease', async () => {
  const tricks = ['linker', 'piper', 'folder', 'filler', 'greedy', 'barred'];
  for (const name of tricks)
    await until(async () => (await cli('logs', name)).includes('ready'), {
      timeoutMs: 20_000,
      what: `${name} to have tried`,
    });
  await until(async () => (await leases()).some(({ holder }) => holder === 'honest'), { what: 'its lease' });
  const held = await leases();
  expect(held.map(({ holder }) => holder).sort()).toEqual(['filler', 'greedy', 'honest']);
  expect(held.find(({ holder }) => holder === 'honest')).toMatchObject({ why: 'measuring', kind: 'service' });
  const greedy = held.find(({ holder }) => holder === 'greedy');
  expect(greedy?.until).toBeLessThanOrEqual(Date.now() + 24 * 3_600_000);
  expect(greedy?.why).toBe('[31mred');
  expect(await cli('update', 'status')).toContain('service honest, until');
});

test('its folder is small, its own, and no place to run anything', () => {
  expect(statSync(join(folderOf('filler'), LEASE_FILE)).size).toBeLessThanOrEqual(16 * 1024);
  expect(statSync(folderOf('honest')).mode & 0o777).toBe(0o700);
  expect(statSync(folderOf('honest')).uid).not.toBe(statSync(folderOf('filler')).uid);
  const mount = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((line) => line.includes(folderOf('honest')));
  expect(mount).toMatch(/nosuid,nodev,noexec.*size=16k,nr_inodes=8/);
  expect(statSync(folderOf('barred'), { throwIfNoEntry: false })).toBeUndefined();
});

test('it gives the lease back by removing the file', async () => {
  writeFileSync(join(folderOf('honest'), 'stop'), '');
  await until(async () => !(await leases()).some(({ holder }) => holder === 'honest'), {
    what: 'the end of its lease',
  });
  expect(await cli('lease', 'show')).not.toContain('measuring');
});

test('a lease ends with its container', async () => {
  const mark = join(folderOf('folder'), 'mark');
  writeFileSync(mark, '');
  await cli('restart', 'folder');
  await until(() => !existsSync(mark) && existsSync(join(folderOf('folder'), LEASE_FILE)), {
    timeoutMs: 20_000,
    what: 'a folder anew',
  });
  expect(statSync(join(folderOf('folder'), LEASE_FILE)).isDirectory()).toBe(true);
});
