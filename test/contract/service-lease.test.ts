import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeTerminal } from '../../agent/cli/fake-terminal.ts';
import { LEASE_FILE, LEASE_FOLDER } from '../../protocol/service-lease.ts';
import { type PreparedAgent, startPreparedAgent } from '../support/prepared-agent.ts';
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

/** Its services say in every way that they are busy. */
let agent: PreparedAgent;

beforeAll(async () => {
  const layer = await busyboxLayer();
  const services = Object.entries(SCRIPTS).map(([name, script]) => [
    name,
    { layers: [layer], args: ['/bin/sh', '-c', script] },
  ]);
  const { manifest } = serviceRelease('1', Object.fromEntries(services));
  for (const [name, service] of Object.entries(manifest.services))
    if (name !== 'barred') service.update = { lease: true };
  agent = await startPreparedAgent({ name: 'lease', manifest, layer });
});
afterAll(() => agent.close());

async function cli(...argv: string[]): Promise<string> {
  const terminal = new FakeTerminal();
  await terminal.run(...argv, '--socket', agent.socket);
  return terminal.stdout;
}

const leases = async (): Promise<{ holder: string; why: string; until: number; kind: string }[]> =>
  JSON.parse(await cli('lease', 'show', '--json')).leases;
const folderOf = (service: string): string => join(agent.runDir, 'roots', service, 'lease');

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
