import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import type { SupervisorChildOptions } from '../support/supervisor-child.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

const release = (services: ServiceSpec[]) => ({
  release: { name: 'demo', version: '1', generation: 1 },
  services,
});

describe('a supervisor on a real machine', () => {
  let image: TinyImage;
  let dir: string;
  let instance: string;
  let parts: ReturnType<typeof realSupervisor>;
  let count = 0;

  beforeAll(async () => {
    image = await tinyImage();
  });
  beforeEach(() => {
    count += 1;
    dir = mkdtempSync(join(tmpdir(), 'wherry-supervisor-'));
    instance = `s${process.pid}-${count}`;
    parts = realSupervisor(dir, instance, image.blobDir);
  });
  afterEach(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  });

  const service = (name: string, script: string, extra: Partial<ServiceSpec> = {}): ServiceSpec =>
    shellService(image.verity, name, script, extra);
  const steady = (name: string, extra: Partial<ServiceSpec> = {}): ServiceSpec =>
    service(name, 'trap "exit 0" TERM; sleep 1000 & wait', extra);
  const status = (name: string): ServiceStatus => {
    const found = parts.supervisor.statuses().find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`There is no service ${name}`);
    return found;
  };
  const converged = () => until(() => parts.supervisor.health().isConverged, { what: 'the services to run' });
  const isOurs = (pid: number): boolean => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`wherry-${instance}`);
    } catch {
      return false;
    }
  };
  const mounts = (): string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir));
  const cgroups = (): string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => / - cgroup2? /.test(line))
      .map((line) => join(line.split(' ')[4] ?? '', `wherry-${instance}`))
      .filter((path) => {
        try {
          readFileSync(join(path, 'cgroup.procs'));
          return true;
        } catch {
          return false;
        }
      });

  test('runs services under budgets the kernel holds, and leaves nothing when it stops them', async () => {
    const volume = { volume: 'shared', path: '/data', readOnly: false, gid: 2000, sizeBytes: 65_536 };
    const onDisk = {
      ...volume,
      volume: 'kept',
      path: '/tmp',
      sizeBytes: 1024 ** 2,
      backing: 'disk' as const,
    };
    const script = 'echo hello > /data/x && cat /data/x > /tmp/x && trap "exit 0" TERM; sleep 1000 & wait';
    const writer = service('writer', script, { mounts: [volume, onDisk] });
    parts.supervisor.start();
    parts.supervisor.apply(release([steady('one'), writer]));
    await converged();
    expect(await parts.cgroups.read('one')).toMatchObject({
      memoryMaxBytes: 16 * 1024 ** 2,
      cpuMax: 0.5,
      pidsMax: 16,
    });
    expect(readFileSync(join(dir, 'run/volumes/shared/x'), 'utf8')).toBe('hello\n');
    expect(readFileSync(join(dir, 'run/volumes/kept/x'), 'utf8')).toBe('hello\n');
    const typeOf = (name: string) =>
      mounts()
        .find((line) => line.split(' ')[4] === join(dir, 'run/volumes', name))
        ?.split(' - ')[1]
        ?.split(' ')[0];
    expect([typeOf('shared'), typeOf('kept')]).toEqual(['tmpfs', 'ext4']);
    await until(() => status('one').usage?.pids === 2, { what: 'a usage sample' });
    const pids = [status('one').pid ?? 0, status('writer').pid ?? 0];
    expect(pids.every(isOurs)).toBe(true);
    await parts.supervisor.stop({ services: 'stop' });
    expect(pids.some(isOurs)).toBe(false);
    expect([mounts(), cgroups()]).toEqual([[], []]);
  });

  test('restarts what runs out of memory, says so, and backs off', async () => {
    const hog = service('hog', 'x=$(seq 1 9999999); sleep 1000', {
      resources: { memoryMaxBytes: 4 * 1024 ** 2, cpuMax: 1, pidsMax: 8 },
    });
    parts.supervisor.start();
    parts.supervisor.apply(release([hog, steady('one')]));
    await until(() => status('hog').restarts >= 2, { what: 'two restarts', timeoutMs: 20_000 });
    const pid = status('one').pid;
    expect(status('hog').oomKills).toBeGreaterThan(0);
    expect(parts.events.map(({ code }) => code)).toContain('exit.oom');
    expect(parts.supervisor.why('hog')?.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['exit.oom', 'wait.backoff', 'start.retry', 'start.desired']),
    );
    await until(() => parts.supervisor.health().isFailed, { what: 'the crash loop to be seen' });
    expect(status('one').pid).toBe(pid);
  });

  test('replaces only the service whose specification changed, and drops what is not desired', async () => {
    parts.supervisor.start();
    parts.supervisor.apply(release([steady('one'), steady('two'), steady('three')]));
    await converged();
    const before = new Map(parts.supervisor.statuses().map(({ name, pid }) => [name, pid]));
    parts.supervisor.apply(release([steady('one'), steady('two', { environment: { NEW: '1' } })]));
    expect(parts.supervisor.health().isConverged).toBe(false);
    await converged();
    expect(status('one').pid).toBe(before.get('one'));
    expect(status('two').pid).not.toBe(before.get('two'));
    expect(status('two').reason.code).toBe('start.spec-changed');
    expect(parts.supervisor.statuses().map(({ name }) => name)).toEqual(['one', 'two']);
    expect(isOurs(before.get('three') ?? 0)).toBe(false);
  });

  test('restarts a service when asked, and repairs a budget that drifted', async () => {
    parts.supervisor.start();
    parts.supervisor.apply(release([steady('one')]));
    await converged();
    const before = status('one').pid;
    expect(parts.supervisor.restart('one', 'root')).toBe('accepted');
    expect(parts.supervisor.restart('nobody', 'root')).toBe('unknown-service');
    await until(() => status('one').state === 'running' && status('one').pid !== before, {
      what: 'a new process',
    });
    expect(parts.supervisor.why('one')?.[0]).toMatchObject({
      code: 'start.operator',
      message: 'root restarted it',
    });
    await parts.cgroups.apply('one', { memoryMaxBytes: 8 * 1024 ** 2, cpuMax: 0.5, pidsMax: 16 });
    await until(() => parts.events.some(({ code }) => code === 'repair.budget'), { what: 'the repair' });
    await until(async () => (await parts.cgroups.read('one'))?.memoryMaxBytes === 16 * 1024 ** 2);
  });

  test('starts a service when what it depends on is healthy, and ends it before that one', async () => {
    const health: ServiceSpec['health'] = {
      check: { kind: 'exec', args: ['/bin/sh', '-c', 'test -e /tmp/ready'] },
      intervalMs: 200,
      timeoutMs: 2000,
      retries: 3,
      startPeriodMs: 20_000,
      whenUnhealthy: 'restart',
    };
    const bus = service('bus', 'trap "exit 0" TERM; sleep 0.3; touch /tmp/ready; sleep 1000 & wait', {
      health,
    });
    const slow = 'trap "sleep 0.3; exit 0" TERM; sleep 1000 & wait';
    const app = service('app', slow, { dependsOn: { bus: 'healthy' } });
    parts.supervisor.start();
    parts.supervisor.apply(release([app, bus]));
    await until(() => status('app').reason.code === 'wait.dependency', { what: 'the wait' });
    expect(status('app').state).toBe('waiting');
    await converged();
    expect(status('bus').health?.state).toBe('healthy');
    expect(status('app').since).toBeGreaterThanOrEqual(status('bus').health?.since ?? Infinity);
    parts.supervisor.apply(release([]));
    await until(() => status('app').state === 'stopping', { what: 'the end of the dependant' });
    expect(status('bus').state).toBe('running');
    await until(() => parts.supervisor.statuses().length === 0, { what: 'the end of both' });
  });

  test('holds the least critical to half its CPU while the voltage is too low', async () => {
    parts.supervisor.start();
    parts.supervisor.apply(release([steady('one', { criticality: 'low' }), steady('two')]));
    await converged();
    parts.strain.isUnderVoltage = true;
    await until(async () => (await parts.cgroups.read('one'))?.cpuMax === 0.25, { what: 'the throttle' });
    expect((await parts.cgroups.read('two'))?.cpuMax).toBe(0.5);
    expect(status('one')).toMatchObject({ isThrottled: true, reason: { code: 'shed.throttled' } });
    expect(parts.supervisor.shedding()).toMatchObject({ level: 1, reason: { code: 'device.shed' } });
    expect(parts.events.map(({ code }) => code)).not.toContain('repair.budget');
  });

  test('an image that cannot be mounted is a failure with its reason', async () => {
    parts.supervisor.start();
    parts.supervisor.apply(release([steady('one', { layers: ['f'.repeat(64)] })]));
    await until(() => parts.supervisor.health().isFailed, { what: 'the failure' });
    expect(parts.events.map(({ code }) => code)).toContain('fail.image');
  });

  test('killed outright, it leaves its services running, and the next one takes them over', async () => {
    const desired = release([steady('one'), steady('two')]);
    const options: SupervisorChildOptions = { dir, instance, blobDir: image.blobDir, desired };
    writeFileSync(join(dir, 'options.json'), JSON.stringify(options));
    const script = new URL('../support/supervisor-child.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, [script, join(dir, 'options.json')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const before = JSON.parse(line.toString()) as ServiceStatus[];
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(before.every(({ pid }) => isOurs(pid ?? 0))).toBe(true);
    parts.supervisor.start();
    parts.supervisor.apply(desired);
    await converged();
    expect(parts.supervisor.statuses().map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
    expect(status('one').reason.code).toBe('start.adopted');
    expect(status('one').restarts).toBe(0);
  });
});
