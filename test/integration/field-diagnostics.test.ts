import 'reflect-metadata';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import * as x509 from '@peculiar/x509';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Diagnosis } from '../../agent/diagnostics/core/finding.ts';
import { diagnose } from '../../agent/diagnostics/field.ts';
import { openDeviceCa } from '../../fleet-server/enrolment/device-ca.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { buildAgent } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import {
  busyboxLayer,
  type Layer,
  Publisher,
  type ServiceRelease,
  serviceRelease,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** One device under supervision, healthy; what is broken for real is broken in copies of its state beside it. */
const YEAR_MS = 365 * 86_400_000;
const SECRET = 'sw0rdfish/+&"marlin"';
/** Not of the store: known by their shape alone. */
const SHAPED = ['option', 'address', 'header', 'kmsg', 'lease', 'environment'].map(
  (place) => `hunter2-in-${place}`,
);
const PARTS = [
  'doctor',
  'status',
  'why of web',
  'log of web',
  'leases',
  'configuration',
  'environment and programs of services',
  'log of the kernel',
  'cgroups of services',
];
const SCRIPT = `
echo '${SECRET}'; echo ${Buffer.from(`user:${SECRET}`).toString('base64')}; echo ${encodeURIComponent(SECRET)}
echo run --password ${SHAPED[0]}; echo postgres://ada:${SHAPED[1]}@db/x; echo "Authorization: Bearer ${SHAPED[2]}"
trap 'exit 0' TERM
n=0; while :; do n=$((n + 1)); echo "tick $n"; sleep 0.2 & wait $!; done`;

let fleet: TestFleet;
let device: RealDevice;
let layer: Layer;
let config: Record<string, unknown>;
let copies = 0;

beforeAll(async () => {
  await buildAgent(() => {});
  fleet = await TestFleet.start();
  const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  layer = await busyboxLayer();
  device = await RealDevice.create(fleet, 'doctored', publisher.signer.rootText);
  const file = join(device.dir, 'agent.json');
  config = JSON.parse(readFileSync(file, 'utf8'));
  config['mirrors'] = [`http://ada:${SHAPED[1]}@127.0.0.1:9/depot`];
  writeFileSync(file, JSON.stringify(config));
  await device.start();
  const release = withToken(
    serviceRelease('1', { web: { layers: [layer], args: ['/bin/sh', '-c', SCRIPT], graceMs: 500 } }),
  );
  const releaseId = await publisher.publish(release);
  await until(async () => (await device.status()).link.state === 'connected', { what: 'the link' });
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  const secret = join(device.dir, 'secret');
  writeFileSync(secret, SECRET);
  await device.cli('secret', 'put', 'db', '--from-file', secret);
  rmSync(secret);
  await device.phase('committed', 40_000);
}, 180_000);

/** A token in the environment of its service, where none should be. */
function withToken(release: ServiceRelease): ServiceRelease {
  const manifest = structuredClone(release.manifest);
  for (const image of Object.values(manifest.services['web']?.images ?? {}))
    image.environment['API_TOKEN'] = SHAPED[5] ?? '';
  const manifestText = JSON.stringify(manifest);
  return { ...release, manifest, manifestText, manifestSha256: sha256Hex(manifestText) };
}

afterAll(async () => {
  await device?.remove();
  await fleet?.close();
}, 90_000);

/** A device beside the real one, with its state as it is now; `folder` may be a file system of its own. */
function copyOfDevice(folder = join(device.dir, `copy-${++copies}`)) {
  const stateDir = join(folder, 'state');
  mkdirSync(folder, { recursive: true });
  cpSync(config['stateDir'] as string, stateDir, { recursive: true });
  const configFile = join(folder, 'agent.json');
  writeFileSync(configFile, JSON.stringify({ ...config, stateDir, runDir: join(folder, 'run') }));
  return { folder, stateDir, configFile };
}

type Copy = ReturnType<typeof copyOfDevice>;

/** What the doctor finds, by check. The agent of a copy is the real one. */
async function examined({ configFile }: Pick<Copy, 'configFile'>, root?: string) {
  const options = {
    configFile,
    isQuick: false,
    agent: await device.status(),
    signal: AbortSignal.timeout(60_000),
  };
  return byCheck(await diagnose({ ...options, ...(root !== undefined && { root }) }));
}

const byCheck = ({ checks }: Diagnosis) =>
  Object.fromEntries(checks.map(({ check, verdict, found }) => [check, { verdict, found }]));

/** A certificate of the server's own CA that the server has not recorded. */
async function otherCertificate({ stateDir }: Copy, now: number, caFolder = join(fleet.dataDir, 'ca')) {
  const key = readFileSync(join(stateDir, 'identity/device.key'), 'utf8');
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const ca = await openDeviceCa(caFolder, () => now);
  const { pem } = await ca.issueDevice(device.id, new x509.PublicKey(spki));
  writeFileSync(join(stateDir, 'identity/device.crt'), pem);
  return ca;
}

test('a healthy device is well, and its own sessions are not disturbed', async () => {
  const plugins = join(device.dir, 'doctor.d');
  mkdirSync(plugins, { mode: 0o755 });
  const plugin = (name: string, script: string, mode = 0o755): void => {
    writeFileSync(join(plugins, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(plugins, name), mode);
  };
  plugin('10-fine', 'echo "the state is in $WHERRY_STATE_DIR"');
  plugin('20-json', `echo '{"verdict":"warn","found":"slow","advice":"look at its cable"}'`);
  plugin('30-endless', 'yes');
  plugin('40-open', 'echo never', 0o777);
  const before = (await device.status()).link.since;
  const { code, stdout, stderr } = await device.cli('doctor', '--json');
  const found = byCheck(JSON.parse(stdout) as Diagnosis);
  const well = [
    'agent',
    'configuration',
    'ledger',
    'images',
    'certificate',
    'server',
    'broker',
    'cgroups',
    'programs',
  ];
  expect([Object.fromEntries(well.map((name) => [name, found[name]?.verdict])), stderr]).toEqual([
    Object.fromEntries(well.map((name) => [name, 'ok'])),
    '',
  ]);
  expect(found['plugin:10-fine']).toEqual({ verdict: 'ok', found: `the state is in ${config['stateDir']}` });
  expect(found['plugin:20-json']?.verdict).toBe('warn');
  expect(found['plugin:30-endless']?.found).toContain('more than 64 KiB');
  expect(found['plugin:40-open']?.found).toContain('others than root may write to it');
  expect(code).toBe(1);
  expect((await device.status()).link).toMatchObject({ state: 'connected', since: before });
  expect((await fleet.api('GET', `/devices/${device.id}`)).body.isOnline).toBe(true);
  rmSync(plugins, { recursive: true });
});

test('it names a bit that flipped in an image, a damaged ledger and an unreadable configuration', async () => {
  const copy = copyOfDevice();
  const blob = join(copy.stateDir, 'blobs', `${layer.verity}.erofs`);
  const bytes = readFileSync(blob);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(blob, bytes);
  const ledger = join(copy.stateDir, 'ledger.db');
  const database = new Database(ledger);
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.close();
  const pages = readFileSync(ledger);
  pages.fill(0xa5, 4096, 12_288);
  writeFileSync(ledger, pages);
  appendFileSync(copy.configFile, '}');
  writeFileSync(
    copy.configFile,
    readFileSync(copy.configFile, 'utf8').replace('"instance"', '"instanze"').slice(0, -1),
  );
  const found = await examined(copy);
  expect(found['images']).toEqual({ verdict: 'fail', found: expect.stringContaining(layer.verity) });
  expect(found['ledger']).toEqual({
    verdict: 'fail',
    found: expect.stringMatching(/damaged.*copies beside it are whole/),
  });
  expect(found['configuration']?.found).toMatch(/instanze is not a known field; did you mean "instance"/);
});

test('it names a certificate that has ended, a foreign CA and a broker that refuses', async () => {
  const ended = copyOfDevice();
  await otherCertificate(ended, Date.now() - 30 * YEAR_MS);
  const refused = copyOfDevice();
  await otherCertificate(refused, Date.now());
  const foreign = copyOfDevice();
  const ca = await otherCertificate(foreign, Date.now(), join(foreign.folder, 'ca'));
  writeFileSync(join(foreign.stateDir, 'identity/ca.crt'), ca.pem);
  const [endedFound, refusedFound, foreignFound] = await Promise.all(
    [ended, refused, foreign].map((copy) => examined(copy)),
  );
  expect(endedFound?.['certificate']).toEqual({
    verdict: 'fail',
    found: expect.stringContaining('ended 19'),
  });
  expect(refusedFound?.['certificate']?.verdict).toBe('ok');
  // The agent's own session is open, so to the doctor it is the server that knows no doctor.
  expect(refusedFound?.['broker']?.verdict).toBe('skipped');
  const alone = await diagnose({
    configFile: refused.configFile,
    isQuick: true,
    agent: 'it does not answer',
    signal: AbortSignal.timeout(30_000),
  });
  expect(byCheck(alone)['broker']).toEqual({
    verdict: 'fail',
    found: expect.stringContaining('does not take this device (code 5)'),
  });
  expect(foreignFound?.['server']).toEqual({
    verdict: 'fail',
    found: expect.stringContaining('not signed by the pinned CA'),
  });
  expect(foreignFound?.['broker']?.verdict).toBe('skipped');
});

test('without a network it says what cannot be told, and ends', async () => {
  const args = ['--net', join(ROOT, 'bin/wherry'), 'doctor', '--quick', '--json'];
  const env = { ...process.env, WHERRY_SOCKET: device.socket, WHERRY_CONFIG: join(device.dir, 'agent.json') };
  const { status, stdout } = spawnSync('unshare', args, { env, encoding: 'utf8', timeout: 60_000 });
  const found = byCheck(JSON.parse(stdout) as Diagnosis);
  expect([status, found['route']?.verdict]).toEqual([1, 'fail']);
  expect([found['server'], found['broker']]).toEqual([
    { verdict: 'skipped', found: expect.stringContaining('Cannot tell, because no network leads to') },
    { verdict: 'skipped', found: expect.stringContaining('Cannot tell, because no session could be opened') },
  ]);
  expect(found['agent']?.verdict).toBe('ok');
});

test('it names a full disk, and works on one', async () => {
  const image = join(device.dir, 'small.img');
  const folder = join(device.dir, 'small');
  mkdirSync(folder);
  execFileSync('truncate', ['-s', '24M', image]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
  execFileSync('mount', ['-o', 'loop', image, folder]);
  try {
    const copy = copyOfDevice(folder);
    expect((await examined(copy))['disk']?.verdict).not.toBe('fail');
    execFileSync('sh', ['-c', `cat /dev/zero > ${join(folder, 'filler')} 2> /dev/null || :`]);
    const found = await examined(copy);
    expect(found['disk']).toEqual({
      verdict: 'fail',
      found: expect.stringMatching(/small has \d+ K?i?B free of/),
    });
    expect(found['ledger']?.verdict).toBe('ok');
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    expect((await examined(copy))['storage']?.found).toMatch(/is mounted read-only/);
  } finally {
    execFileSync('umount', [folder]);
    rmSync(image);
  }
});

test('it names the memory controller that a Raspberry Pi has switched off', async () => {
  const root = join(device.dir, 'raspberry');
  for (const path of ['proc/self', 'sys/fs/cgroup']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'proc/self/mountinfo'), '25 22 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n');
  writeFileSync(join(root, 'sys/fs/cgroup/cgroup.controllers'), 'cpuset cpu io pids\n');
  writeFileSync(join(root, 'proc/cmdline'), 'console=tty1 cgroup_disable=memory rootwait\n');
  const { cgroups } = await examined({ configFile: join(device.dir, 'agent.json') }, root);
  expect(cgroups?.verdict).toBe('fail');
  expect(cgroups?.found).toContain('cgroup_disable=memory');
});

/** None of what was planted, in no spelling that was planted. */
function expectClean(bundle: string): void {
  const spellings = [
    SECRET,
    JSON.stringify(SECRET).slice(1, -1),
    encodeURIComponent(SECRET),
    'sw0rdfish',
    'c3cwcmRmaXNo',
  ];
  const key =
    readFileSync(join(config['stateDir'] as string, 'identity/device.key'), 'utf8').split('\n')[1] ?? '';
  const joinToken = /&t=([\w-]+)/.exec(config['join'] as string)?.[1] ?? '';
  const base64 = Buffer.from(`user:${SECRET}`).toString('base64').slice(10, 30);
  const planted = [...spellings, ...SHAPED, key, joinToken, base64];
  expect(planted.filter((one) => one.length < 6 || bundle.includes(one))).toEqual([]);
}

test('a support bundle by way of the agent is whole, bounded and without what was planted', async () => {
  writeFileSync('/dev/kmsg', `wherry test ${device.id}: token=${SHAPED[3]}\n`);
  await device.cli('lease', 'take', '--for', '1h', '--why', `password=${SHAPED[4]}`);
  const bundle = await bundleByAgent(4 * 1024 * 1024);
  expectClean(bundle);
  const [first, second, third] = bundle.split('\n');
  expect([first, second, third]).toEqual([
    'Wherry support bundle of doctored of default',
    expect.stringMatching(/^Made .* for grace, .* the agent is /),
    // The one that was put, the device's key, that of the secrets, and the join token.
    expect.stringContaining('4 secrets of this device'),
  ]);
  const titles = [...bundle.matchAll(/^======== \d+ (.*) ========$/gm)].map(([, title]) => title);
  expect(titles).toEqual(expect.arrayContaining(PARTS));
  const shown = [
    /stdout tick \d+/,
    /\[redacted: secret db\]/,
    /memory\.max|memory\.limit_in_bytes/,
    /API_TOKEN=\[redacted\]/,
  ];
  expect(shown.map((one) => one.test(bundle))).toEqual(shown.map(() => true));
  const both = await Promise.all([bundleByAgent(64 * 1024), bundleByAgent(64 * 1024)]);
  expect(both.filter((one) => one.includes('another one is being made'))).toHaveLength(1);
  const small = both.find((one) => one.startsWith('Wherry')) ?? '';
  expect(Buffer.byteLength(small)).toBeLessThanOrEqual(64 * 1024);
  expect(small.includes('CUT:')).toBe(true);
  expectClean(small);
});

async function bundleByAgent(bytes: number): Promise<string> {
  const path = `/v1/support-bundle?bytes=${bytes}&by=grace`;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: device.socket, path }, (response) => {
    text(response).then(resolve, reject);
  });
  asked.once('error', reject);
  asked.end();
  return promise;
}

test('when the agent was killed the device still tells of itself', async () => {
  const { web } = await device.pids();
  await device.kill();
  const written = async (): Promise<string[]> =>
    (await device.cli('logs', 'web', '-n', '20')).stdout.split('\n').filter((line) => line.includes('tick'));
  const last = (await written()).at(-1);
  await until(async () => (await written()).at(-1) !== last, { what: 'lines that no agent took' });
  const status = await device.cli('status');
  expect([status.code, status.stdout]).toEqual([
    3,
    expect.stringMatching(/Release +boat 1 \(generation 1\)\n.*\nServices +1 of 1 run on/),
  ]);
  const ps = await device.cli('ps', '--json');
  expect(ps.code).toBe(3);
  expect(JSON.parse(ps.stdout)).toMatchObject({
    error: { code: 'agent-unreachable' },
    lastKnown: { services: [{ name: 'web', container: { state: 'running', pid: web } }] },
  });
  const doctor = await device.cli('doctor', '--quick');
  expect([doctor.code, doctor.stdout]).toEqual([
    1,
    expect.stringMatching(/FAIL +agent +The agent does not answer/),
  ]);
  expect(doctor.stdout).toMatch(/ok +broker/);
  const file = join(device.dir, 'bundle.txt');
  const made = await device.cli('support-bundle', '-o', file);
  expect([made.code, statSync(file).mode & 0o777]).toEqual([0, 0o600]);
  const bundle = readFileSync(file, 'utf8');
  expectClean(bundle);
  const shown = [/last known, without the agent ========/, /stdout tick \d+/];
  expect(shown.map((one) => one.test(bundle))).toEqual([true, true]);
  await device.start();
  expect((await device.pids())['web']).toBe(web);
});
