import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChaosReport } from '../../agent/cli/core/chaos.ts';
import { FakeTerminal } from '../../agent/cli/fake-terminal.ts';
import type { PlanAnswer, UpdateCheckAnswer } from '../../agent/local-api/plan-port.ts';
import { runReleaseCommand } from '../../release/cli.ts';
import { buildForDevice } from '../../scripts/build.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease, WILLING } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/** One device, its state on a small disk of its own, that nobody enrolled: somebody does, plans, updates, breaks it. */
let fleet: TestFleet;
let publisher: Publisher;
let device: RealDevice;
let base: Layer;
let stateDir: string;
let joinString: string;

const SAYS_SO = '--yes-this-is-a-development-board';
const MIB = 1024 ** 2;

beforeAll(async () => {
  await buildForDevice(() => {});
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  device = await RealDevice.create(fleet, 'broken', publisher.signer.rootText);
  stateDir = join(device.dir, 'state');
  const file = join(device.dir, 'agent.json');
  const { join: given, ...config } = JSON.parse(readFileSync(file, 'utf8'));
  joinString = given;
  writeFileSync(file, JSON.stringify(config));
  const disk = join(device.dir, 'disk.img');
  execFileSync('truncate', ['-s', String(64 * MIB), disk]);
  execFileSync('mkfs.ext4', ['-q', disk]);
  mkdirSync(stateDir);
  execFileSync('mount', ['-o', 'loop', disk, stateDir]);
  await device.start();
}, 180_000);
afterAll(async () => {
  await device?.stop();
  if (stateDir) spawnSync('umount', [stateDir]);
  await device?.remove();
  await fleet?.close();
}, 90_000);

const release = (version: string) => {
  const web = { layers: [base], args: [...WILLING.slice(0, 2), `: ${version}; ${WILLING[2]}`] };
  return serviceRelease(version, { cache: { layers: [base] }, web }, { soakMs: 300 });
};

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await device.cli(...args, '--json');
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

/** What a person runs, with something to read. The fleet server is in this process: nothing may block it. */
function run(program: string, args: string[], input = '') {
  return new Promise<{ status: number; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(program, args, { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

/** A join string by standard input, as no list of processes shows it. */
const enrol = (text: string) =>
  run(join(ROOT, 'bin/wherry'), ['enrol', '-', '--socket', device.socket], text);

test('enrol: each refusal says why, the right join string takes it in, and once is enough', async () => {
  const away = joinString.replace(/:\d+#/, ':1#');
  const other = joinString.replace(/sha256:[0-9a-f]{4}/, 'sha256:0000');
  const wrong = joinString.replace(/t=.*/, 't=this-is-no-token-of-it');
  const said = [await enrol(away), await enrol(other), await enrol(wrong)];
  expect(said.map(({ status, stderr }) => [status, stderr.split('\n')[0]])).toEqual([
    [75, expect.stringContaining('Cannot reach')],
    [4, expect.stringContaining('none of its')],
    [4, expect.stringContaining('the server says 403')],
  ]);
  const taken = await enrol(joinString);
  expect([taken.status, taken.stdout]).toEqual([0, expect.stringContaining(`${device.id}: enrolled at`)]);
  await until(async () => (await device.status()).link.state === 'connected', { what: 'the link' });
  const again = await enrol(joinString);
  expect([again.status, again.stderr]).toEqual([4, expect.stringContaining('already')]);
  expect((await device.cli('config', 'show')).stdout).toContain(join(device.dir, 'agent.json'));
});

test('update check asks the server now', async () => {
  const releaseId = await publisher.publish(release('1'));
  expect(await json<UpdateCheckAnswer>('update', 'check')).toMatchObject({
    metadata: { state: 'fresh' },
    verdict: 'nothing-offered',
  });
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  await until(async () => (await device.status()).current?.version === '1', {
    timeoutMs: 60_000,
    what: 'release 1',
  });
  await device.phase('committed');
  expect(await json<UpdateCheckAnswer>('update', 'check')).toMatchObject({
    verdict: 'runs',
    release: { version: '1' },
  });
});

async function stickOf(version: string): Promise<string> {
  await publisher.publish(release(version));
  const { token } = (await fleet.api('POST', '/api-tokens', { note: 'signer' })).body;
  const stick = join(device.dir, `stick-${version}`);
  const said: string[] = [];
  const sink = new Writable({ write: (data, _encoding, done) => (said.push(String(data)), done()) });
  const code = await runReleaseCommand(['release', 'export', 'boat', version, '--to', stick], {
    stdout: sink,
    stderr: sink,
    env: { WHERRY_SERVER: fleet.server.url, WHERRY_TOKEN: token },
  });
  if (code !== 0) throw new Error(said.join(''));
  return stick;
}

const trusted = () =>
  readdirSync(join(stateDir, 'trust')).map((name) => readFileSync(join(stateDir, 'trust', name), 'utf8'));

test('a plan says what the update then does, and changes nothing', async () => {
  const stick = await stickOf('2');
  const before = { pids: await device.pids(), trusted: trusted(), status: (await device.status()).update };
  const plan = await json<PlanAnswer>('plan', stick);
  expect({ pids: await device.pids(), trusted: trusted(), status: (await device.status()).update }).toEqual(
    before,
  );
  expect(plan.steps.map(({ kind, service }) => `${kind} ${service}`)).toEqual(['stop web', 'start web']);
  expect(plan.services.map(({ service, act }) => [service, act])).toEqual([
    ['cache', 'keep'],
    ['web', 'restart'],
  ]);
  expect(plan.fetch).toMatchObject({ bytes: 0, haveBytes: base.size, blobs: [{ how: 'have' }] });
  expect([plan.admission.fits, plan.disk.fits, plan.waits]).toEqual([true, true, []]);
});

/** A disk that the kernel calls removable, as sysfs tells of one; the mounts are the machine's own. */
function removable(loop: string) {
  const name = basename(loop);
  const classBlock = join(device.dir, 'class-block');
  mkdirSync(join(classBlock, name), { recursive: true });
  const real = join('/sys/class/block', name);
  const facts = {
    removable: '1',
    dev: readFileSync(join(real, 'dev'), 'utf8'),
    size: readFileSync(join(real, 'size'), 'utf8'),
  };
  for (const [file, text] of Object.entries(facts)) writeFileSync(join(classBlock, name, file), text);
  return { classBlock, mountinfo: '/proc/self/mountinfo', mountDir: join(device.dir, 'media') };
}

test('update apply finds a stick that nobody has mounted, and lets it go when it is read', async () => {
  const image = join(device.dir, 'stick.img');
  const content = join(device.dir, 'content');
  cpSync(join(device.dir, 'stick-2'), join(content, 'boat-2'), { recursive: true });
  execFileSync('truncate', ['-s', String(16 * MIB), image]);
  execFileSync('mkfs.ext4', ['-q', '-d', content, image]);
  const loop = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
  const before = readFileSync(image);
  try {
    const media = removable(loop);
    const terminal = new FakeTerminal({ media });
    const code = await terminal.run('update', 'apply', '--socket', device.socket);
    expect([code, terminal.seen]).toEqual([0, expect.stringContaining(`Found boat 2 in ${loop}`)]);
    expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(loop);
    expect(readdirSync(media.mountDir)).toEqual([]);
  } finally {
    execFileSync('losetup', ['-d', loop]);
  }
  expect(before.equals(readFileSync(image))).toBe(true);
  await until(async () => (await device.status()).current?.version === '2', {
    timeoutMs: 30_000,
    what: 'release 2',
  });
  await device.phase('committed');
});

const chaos = (...args: string[]) => device.cli('chaos', ...args, '--within', '20s', SAYS_SO, '--json');

test('without the word of a person nothing is broken on a machine that is no board', async () => {
  expect((await device.cli('chaos', 'kill-agent')).code).toBe(4);
});

test('chaos kill-service: it comes back, and nobody else notices', async () => {
  const before = await device.pids();
  const { code, stdout } = await chaos('kill-service', 'web');
  const report = JSON.parse(stdout) as ChaosReport;
  expect([code, report.passed, report.checks.map(({ what }) => what)]).toEqual([
    0,
    true,
    ['web runs again', 'the device is whole again'],
  ]);
  const { cache, web } = await device.pids();
  expect([cache, web === before['web']]).toEqual([before['cache'], false]);
});

test('chaos exhaust-memory: the kernel ends what asked for too much', async () => {
  const { cache } = await device.pids();
  const { code, stdout } = await chaos('exhaust-memory', 'web');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { passed: true }]);
  expect((await device.pids())['cache']).toBe(cache);
});

test('chaos fill-disk: services run on a full disk, and its space comes back', async () => {
  const { code, stdout } = await chaos('fill-disk', '--for', '2s');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { passed: true }]);
  expect(existsSync(join(stateDir, 'chaos-fill'))).toBe(false);
});

const table = () => spawnSync('nft', ['list', 'table', 'inet', 'wherry_chaos'], { encoding: 'utf8' }).stdout;

test('chaos cut-network: nothing passes to the server, and what a killed command left is undone', async () => {
  const port = (await device.status()).device.server?.split(':').at(-1);
  const child = spawn(
    NODE,
    [join(ROOT, 'agent/cli/main.ts'), 'chaos', 'cut-network', '--for', '1m', SAYS_SO],
    {
      env: { ...process.env, WHERRY_SOCKET: device.socket },
      stdio: 'ignore',
    },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  await until(() => table().includes(`dport ${port} drop`), { what: 'the rules' });
  child.kill('SIGKILL');
  await ended;
  expect(table()).toContain('drop');
  expect(await json('chaos', 'undo')).toEqual({ undone: 'cut-network' });
  expect(table()).toBe('');
  const { code, stdout } = await chaos('cut-network', '--for', '1s');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { passed: true }]);
  expect(table()).toBe('');
});

test('chaos kill-agent: services keep their processes, and the next agent undoes what was left', async () => {
  const before = await device.pids();
  const { pid } = (await device.status()).agent;
  const killed = chaos('kill-agent');
  await until(() => !existsSync(`/proc/${pid}/exe`), { what: 'the agent to end' });
  await device.kill();
  const path = join(stateDir, 'chaos-fill');
  const left = { by: { pid: 1, startTicks: 1, bootId: 'x' }, change: { kind: 'file', path } };
  writeFileSync(path, 'x');
  writeFileSync(
    join(stateDir, 'chaos.json'),
    JSON.stringify({ v: 1, experiment: 'fill-disk', at: 1, ...left }),
  );
  await device.start();
  const { code, stdout } = await killed;
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { passed: true }]);
  expect([await device.pids(), existsSync(path)]).toEqual([before, false]);
});

test('the command line of a board runs without its sources', async () => {
  const place = join(device.dir, 'opt');
  mkdirSync(join(place, 'node_modules/.bin'), { recursive: true });
  for (const path of ['bin/wherry', 'dist/cli', 'package.json'])
    cpSync(join(ROOT, path), join(place, path), { recursive: true });
  symlinkSync(NODE, join(place, 'node_modules/.bin/node'));
  const wherry = (...args: string[]) => run(join(place, 'bin/wherry'), [...args, '--socket', device.socket]);
  expect(await wherry('ps')).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('web') });
  expect(await wherry('plan', join(device.dir, 'stick-2'))).toMatchObject({ status: 0, stderr: '' });
  const share = readdirSync(join(place, 'dist/cli/share'), { recursive: true, encoding: 'utf8' });
  for (const file of [
    'man/man1/wherry.1',
    'man/man1/wherry-update.1',
    'bash-completion/completions/wherry',
    'zsh/vendor-completions/_wherry',
    'fish/vendor_completions.d/wherry.fish',
  ])
    expect(share).toContain(file);
});
