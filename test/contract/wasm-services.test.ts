import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toServiceSpecs } from '../../agent/supervisor/from-manifest.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { IMAGES_DIR } from '../../demo/provision.ts';
import { buildImages, WASM_SAMPLE } from '../../images/build.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import { buildRelease } from '../../release/build.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;
const dir = mkdtempSync(join(tmpdir(), 'wherry-wasm-'));
const BOARDS = join(import.meta.dirname, '../../board-configs');
let parts: ReturnType<typeof realSupervisor>;
let specs: Map<string, ServiceSpec>;
let generation = 0;

const service = (command: string, more = '', pids = 8) => `
    image: oci:${IMAGES_DIR}/wasm-runtime
    wasm: ${IMAGES_DIR}/${WASM_SAMPLE}
    command: [${command}]
    resources: { memory: { max: 48MiB }, cpu: { max: 0.25 }, pids: ${pids} }
    stop: { grace: 1m }
    ${more}`;
/** The module once more, with another argument: it prints its environment and ends well. */
const CHECK = '/usr/bin/node, /app/wasm-runtime/run.js, /module.wasm, env';
const once = 'restart: { policy: never }';
const RELEASE = `
name: wasm
version: 1.0.0
boards: [generic-amd64]
volumes: { notes: { size: 64KiB } }
services:
  tick: ${service('tick', `health: { exec: [${CHECK}], interval: 1s, timeout: 10s }`, 16)}
  env: ${service('env', `environment: { GREETING: "hello, world" }\n    ${once}`)}
  cat: ${service('cat, data/note', `mounts: [{ volume: notes, path: /data, readOnly: true }]`)}
  spin: ${service('spin')}
  eat: ${service('eat')}
  exit: ${service('exit', once)}
  trap: ${service('trap', once)}
`;

/** The real runtime image, the one that the demo makes too, and real containers with ids and a profile of their own. */
beforeAll(async () => {
  chmodSync(dir, 0o711);
  await buildImages({ outDir: IMAGES_DIR, platforms: ['linux/amd64', 'linux/arm64'] });
  const [sourceFile, outDir] = [join(dir, 'release.yaml'), join(dir, 'release')];
  writeFileSync(sourceFile, RELEASE);
  const { manifest } = await buildRelease({ sourceFile, outDir, boardsDir: BOARDS });
  const outcome = toServiceSpecs(manifest, 'linux/amd64');
  if (!outcome.ok) throw new Error(outcome.message);
  specs = new Map(outcome.services.map((spec) => [spec.name, spec]));
  parts = realSupervisor(dir, `w${process.pid}`, join(outDir, 'blobs'), { isWhole: true });
  parts.supervisor.start();
}, 240_000);
afterAll(async () => {
  await parts?.supervisor.stop({ services: 'stop' });
  rmSync(dir, { recursive: true, force: true });
});

function apply(...names: string[]): void {
  generation += 1;
  const services = names.flatMap((name) => specs.get(name) ?? []);
  parts.supervisor.apply({ release: { name: 'wasm', version: '1.0.0', generation }, services });
}
const status = (name: string): ServiceStatus | undefined =>
  parts.supervisor.statuses().find((found) => found.name === name);
const codes = (name: string): string[] => (parts.supervisor.why(name) ?? []).map(({ code }) => code);
const logOf = (name: string): string => readFileSync(join(dir, 'logs', `${name}.log`), 'utf8');
const ended = (name: string) =>
  until(() => ['completed', 'failed'].includes(status(name)?.state ?? ''), { what: `the end of ${name}` });
const running = (name: string) =>
  until(() => status(name)?.state === 'running' && status(name)?.pid, { what: `${name} to run` });

test('runs under the budgets and the isolation of any service, prints to its log, and ends when it is told to', async () => {
  apply('tick');
  const pid = await running('tick');
  expect(status('tick')).toMatchObject({ kind: 'wasm' });
  expect(await parts.cgroups.read('tick')).toMatchObject({
    memoryMaxBytes: 48 * MIB,
    cpuMax: 0.25,
    pidsMax: 16,
  });
  const kernel = readFileSync(`/proc/${pid}/status`, 'utf8');
  expect(kernel).toMatch(/^Seccomp:\s+2$/m);
  expect(kernel).toMatch(/^NoNewPrivs:\s+1$/m);
  expect(kernel).toMatch(/^CapEff:\s+0+$/m);
  expect(Number(/^Uid:\s+(\d+)/m.exec(kernel)?.[1])).toBeGreaterThan(65_535);
  await until(() => logOf('tick').match(/stdout F tick\n/g)?.length === 3, { what: 'three ticks' });
  await until(() => status('tick')?.health?.state === 'healthy', { what: 'its health check' });
  // Well within its grace of a minute.
  apply();
  await until(() => parts.supervisor.statuses().length === 0, { what: 'the end of tick' });
});

test('has its environment and its volumes', async () => {
  apply('env', 'cat');
  await ended('env');
  expect(logOf('env')).toContain('stdout F GREETING=hello, world\n');
  // WASI errno 44: there is no such file, yet.
  await until(() => codes('cat').includes('exit.code'), { what: 'a look in vain' });
  expect(parts.supervisor.why('cat')?.find(({ code }) => code === 'exit.code')?.message).toContain('44');
  writeFileSync(join(dir, 'run/volumes/notes/note'), 'read by a module\n');
  await until(() => logOf('cat').includes('stdout F read by a module\n'), { what: 'the note' });
});

test('is held to its CPU and killed at its memory, without harm to the one beside it', async () => {
  apply('tick', 'spin', 'eat');
  const neighbour = await running('tick');
  await running('spin');
  expect((await parts.cgroups.read('spin'))?.pidsMax).toBe(8);
  const [before, since] = [await parts.cgroups.usage('spin'), process.hrtime.bigint()];
  await until(() => codes('eat').includes('exit.oom'), { what: 'the end of eat', timeoutMs: 30_000 });
  await until(async () => ((await parts.cgroups.usage('spin'))?.throttledUsec ?? 0) > 500_000, {
    what: 'spin to be held back',
    timeoutMs: 50_000,
  });
  const after = await parts.cgroups.usage('spin');
  const usec = Number(process.hrtime.bigint() - since) / 1000;
  const cores = ((after?.cpuUsec ?? 0) - (before?.cpuUsec ?? 0)) / usec;
  expect(cores).toBeGreaterThan(0.05);
  expect(cores).toBeLessThan(0.35);
  expect(status('eat')?.oomKills).toBeGreaterThan(0);
  expect(status('tick')).toMatchObject({ pid: neighbour, state: 'running', restarts: 0 });
});

test.each([
  ['exit', 'exit.code', 'Exited with code 7', ''],
  ['trap', 'exit.signal', 'Killed by signal 6', 'stderr F The program /module.wasm trapped: unreachable\n'],
])('the service "%s" passes on how it ended, and its log says why', async (name, code, message, words) => {
  apply(name);
  await ended(name);
  expect(parts.supervisor.why(name)).toContainEqual(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
  expect(logOf(name)).toContain(words);
});
