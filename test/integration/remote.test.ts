import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentConfig } from '../../agent/config.ts';
import { openSqlite } from '../../fleet-server/store/sqlite.ts';
import { buildAgent } from '../../scripts/build.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** A supervised device, its server, and somebody who looks on. What a reboot runs is a program of this test. */
const TALKS = 'n=0; while :; do n=$((n+1)); echo "line $n"; sleep 0.2; done';

let fleet: TestFleet;
let device: RealDevice;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  device = await RealDevice.create(fleet, 'looked-at', publisher.signer.rootText);
  await start({ exec: false });
  const talker = { layers: [await busyboxLayer()], args: ['/bin/sh', '-c', TALKS] };
  const releaseId = await publisher.publish(serviceRelease('1', { talker }, { soakMs: 500 }));
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  await device.phase('committed', 40_000);
}, 180_000);

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 60_000);

/** Resolves when the server knows what the device offers. */
async function start(remote: AgentConfig['remote']): Promise<void> {
  const config = join(device.dir, 'agent.json');
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), remote }));
  const programs = join(device.dir, 'bin');
  mkdirSync(programs, { recursive: true });
  writeFileSync(join(programs, 'reboot'), `#!/bin/sh\necho asked >> ${device.dir}/reboots\n`);
  chmodSync(join(programs, 'reboot'), 0o755);
  const path = `PATH=${programs}:${process.env['PATH']}`;
  await device.start(['/usr/bin/env', path, NODE, join(ROOT, 'dist/agent/main.js')]);
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body?.remote, {
    timeoutMs: 30_000,
    what: 'the device to offer what it does',
  });
}

const url = (path: string) => `/devices/${device.id}${path}`;

const events = async (): Promise<{ code: string; message: string }[]> =>
  (await fleet.api('GET', url('/events'))).body.items;

test('why, a followed log and a restart reach the device and come back; each leaves an event there', async () => {
  const why = await fleet.api('GET', url('/services/talker/why'));
  expect(why).toMatchObject({ status: 200, body: { service: 'talker', state: 'running' } });
  expect(why.body.reasons[0].code).toBe('start.desired');

  const gone = new AbortController();
  const log = await fetch(`${fleet.server.url}/api/v1${url('/services/talker/logs?tail=3&follow=true')}`, {
    headers: { authorization: `Bearer ${fleet.token}` },
    signal: gone.signal,
  });
  let text = '';
  const reader = log.body?.getReader();
  await until(
    async () => {
      text += Buffer.from((await reader?.read())?.value ?? []).toString();
      return (text.match(/"line \d+"/g) ?? []).length >= 8;
    },
    { what: `eight lines of the log in ${text}` },
  );
  gone.abort();

  const before = (await device.pids())['talker'];
  expect((await fleet.api('POST', url('/services/talker/restart'))).status).toBe(202);
  await until(async () => ![undefined, before].includes((await device.pids())['talker']), {
    timeoutMs: 30_000,
    what: 'another process of the service',
  });
  await until(
    async () => {
      const messages = (await events()).map(({ message }) => message);
      return [
        'admin (server) asks why talker is as it is',
        'admin (server) follows the log of talker',
        'admin (server) restarts talker',
      ].every((message) => messages.includes(message));
    },
    { timeoutMs: 30_000, what: 'the events' },
  );
  const [reason] = (await fleet.api('GET', url('/services/talker/why'))).body.reasons;
  expect(reason.message).toContain('admin (server)');
}, 90_000);

test('programs are off unless the device’s own configuration turns them on', async () => {
  const refused = await fleet.api('POST', url('/services/talker/exec'), { argv: ['/bin/id'] });
  expect(refused).toMatchObject({ status: 403, body: { code: 'remote.off' } });
});

test('a support bundle is made on the device and comes as one text, for who asked', async () => {
  const bundle = await fetch(`${fleet.server.url}/api/v1${url('/support-bundle')}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${fleet.token}` },
  });
  expect(bundle.headers.get('content-disposition')).toMatch(/filename="support-looked-at-.*\.txt"/);
  const text = await bundle.text();
  expect(text).toContain('admin (server)');
  expect(text).toContain('talker');
}, 60_000);

test('where they are on, a program runs with the rights of the service, is typed to, and its exit code comes back', async () => {
  await device.stop();
  await start({ exec: true, reboot: true });
  await until(async () => (await device.pids())['talker'], { timeoutMs: 30_000, what: 'the service to run' });
  const run = async (argv: string[], typed?: string) => {
    const response = await fetch(`${fleet.server.url}/api/v1${url('/services/talker/exec')}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${fleet.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ argv, ...(typed !== undefined && { terminal: { columns: 60, rows: 20 } }) }),
    });
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const isFirst = text === '';
      text += decoder.decode(chunk, { stream: true });
      if (isFirst && typed !== undefined)
        await fleet.api('POST', url(`/exec/${JSON.parse(text.split('\n')[0] ?? '').begun.session}/input`), {
          input: typed,
        });
    }
    const parts = text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    const out = Buffer.concat(parts.map(({ data = '' }) => Buffer.from(data, 'base64'))).toString();
    return { out, end: parts.at(-1).end };
  };
  const rights = await run([
    '/bin/sh',
    '-c',
    'grep -E "^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status',
  ]);
  const pid = (await device.pids())['talker'];
  const own = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
  for (const name of ['CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'])
    expect(rights.out).toContain(own.find((line) => line.startsWith(`${name}:`)));
  expect(rights.out).toMatch(/CapEff:\s+0+\n/);
  expect(rights.out).not.toMatch(/Uid:\s+0\b/);

  const typed = await run(['/bin/sh'], 'echo $((6*7)); stty size; exit 3\r');
  expect(typed.out).toMatch(/42\r\n20 60\r\n/);
  expect(typed.end).toEqual({ code: 'done', message: '', exitCode: 3 });
  const missing = await fleet.api('POST', url('/services/nobody/exec'), { argv: ['/bin/id'] });
  expect(missing.body.code).toBe('remote.service-unknown');
}, 90_000);

test('a reboot is carried out once, in order, and audited', async () => {
  const reboots = join(device.dir, 'reboots');
  expect((await fleet.api('POST', url('/reboot'), { confirm: device.id })).status).toBe(202);
  await until(() => existsSync(reboots), { what: 'the board’s own reboot to be called' });
  expect(readFileSync(reboots, 'utf8')).toBe('asked\n');
  await until(async () =>
    (await events()).some(({ message }) => message === 'admin (server) reboots the device'),
  );
  const db = await openSqlite(join(fleet.dataDir, 'fleet.db'));
  const rows = await db.selectFrom('audit').select('action').where('subject', '=', device.id).execute();
  await db.destroy();
  const actions = rows.map(({ action }) => action);
  for (const action of [
    'why',
    'logs',
    'logs-end',
    'restart',
    'bundle',
    'bundle-end',
    'exec',
    'exec-end',
    'reboot',
  ])
    expect(actions).toContain(`device.${action}`);
}, 30_000);
