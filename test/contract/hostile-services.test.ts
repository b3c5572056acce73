import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import type { ServiceStatus } from '../../protocol/status.ts';
import { freePort } from '../support/free-port.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

/** How long each attack is left to rage. */
const ATTACK_MS = 2_500;
/** A neighbour that is starved does not answer for seconds; one that is not answers in milliseconds. */
const ANSWER_MS = 1_000;
const MIB = 1024 ** 2;

/**
 * One hostile service beside a well-behaved one. Each attack must be held: the neighbour answers every request in
 * time, is never restarted, and nothing of the attacker is left when it is taken away.
 */
describe('a hostile service', () => {
  let image: TinyImage;
  let dir: string;
  let instance: string;
  let port: number;
  let parts: ReturnType<typeof realSupervisor>;
  let generation = 0;

  beforeAll(async () => {
    image = await tinyImage();
    dir = mkdtempSync(join(tmpdir(), 'wherry-hostile-'));
    instance = `h${process.pid}`;
    port = await freePort();
    parts = realSupervisor(dir, instance, image.blobDir);
    parts.supervisor.start();
  });
  afterAll(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  });

  const service = (name: string, script: string, extra: Partial<ServiceSpec> = {}): ServiceSpec =>
    shellService(image.verity, name, script, extra);
  const victim = (): ServiceSpec =>
    service('victim', `exec httpd -f -p 127.0.0.1:${port} -h /etc`, { network: 'host' });
  const apply = (...services: ServiceSpec[]): void => {
    generation += 1;
    parts.supervisor.apply({ release: { name: 'hostile', version: '1', generation }, services });
  };
  const status = (name: string): ServiceStatus | undefined =>
    parts.supervisor.statuses().find((candidate) => candidate.name === name);
  const isAnswering = (): Promise<boolean> => answers(port);

  /** Takes the attacker away: the end of one attack must not be taken for the end of the next. */
  async function takeAway(): Promise<void> {
    apply(victim());
    await until(() => status('attacker') === undefined, {
      timeoutMs: 20_000,
      what: 'the attacker to be gone',
    });
  }

  /** Runs the attack beside the neighbour and returns the attacker's last status. */
  async function attack(script: string, extra: Partial<ServiceSpec> = {}): Promise<ServiceStatus> {
    apply(victim());
    await until(isAnswering, { what: 'the neighbour to answer' });
    const pid = status('victim')?.pid;
    apply(victim(), service('attacker', script, extra));
    await until(() => (status('attacker')?.restarts ?? -1) >= 0 && status('attacker')?.state !== 'stopped', {
      what: 'the attack to begin',
    });
    const end = Date.now() + ATTACK_MS;
    let asked = 0;
    let answered = 0;
    while (Date.now() < end) {
      asked += 1;
      if (await isAnswering()) answered += 1;
      await pause(50);
    }
    expect(answered, 'requests the neighbour answered in time').toBe(asked);
    expect(status('victim')).toMatchObject({ state: 'running', pid, restarts: 0, oomKills: 0 });
    const last = status('attacker');
    if (last === undefined) throw new Error('The attacker is gone');
    await takeAway();
    expect(pidsOf(`wherry-${instance}/services/attacker`), 'processes left').toEqual([]);
    return last;
  }

  /** Each line is an attempt as root in the container; the service succeeds when none of them did. */
  async function attempts(lines: string[], extra: Partial<ServiceSpec> = {}): Promise<string> {
    const script = lines
      .map((line, index) => `if (${line}) >/dev/null 2>&1; then exit ${10 + index}; fi`)
      .join('\n');
    const root = { uid: 0, gid: 0, restart: { ...service('x', '').restart, policy: 'never' as const } };
    await takeAway();
    apply(victim(), service('attacker', script, { ...root, ...extra }));
    await until(() => ['completed', 'failed'].includes(status('attacker')?.state ?? ''), {
      what: 'the attempts to end',
    });
    const found = status('attacker');
    return `${found?.state}: ${found?.reason.causes?.[0]?.message ?? found?.reason.message}`;
  }

  test('that forks without end is held to its pids', async () => {
    const last = await attack('bomb() { bomb | bomb & }; bomb; while :; do :; done', {});
    expect(last.usage?.pids ?? 0).toBeLessThanOrEqual(16);
  });

  test('that eats memory is killed by the kernel, alone', async () => {
    const last = await attack('tail /dev/zero');
    expect(last.oomKills).toBeGreaterThan(0);
  });

  test('that spins on every CPU is held to its share', async () => {
    const last = await attack('for i in 1 2 3 4; do (while :; do :; done) & done; wait', {
      resources: { memoryMaxBytes: 16 * MIB, cpuMax: 0.5, pidsMax: 16 },
    });
    expect(last.usage?.cpu ?? 0).toBeLessThan(0.75);
  });

  test('that fills every folder it can write is held to its own memory', async () => {
    const last = await attack(`${fill('/tmp/fill')} & ${fill('/fill')} & ${fill('/dev/shm/fill')} & wait`, {
      security: { readOnlyRoot: false, capabilities: [] },
    });
    expect(last.usage?.memoryBytes ?? 0).toBeLessThanOrEqual(16 * MIB);
  });

  test('that floods its log is held to the size of its log', async () => {
    await attack('yes floodfloodfloodfloodfloodfloodflood');
    expect(sizeOf(join(dir, 'logs')) + sizeOf(join(dir, 'run/logs'))).toBeLessThan(8 * MIB);
  });

  test('that ends as soon as it starts is started ever more slowly', async () => {
    const last = await attack('exit 1', {
      restart: {
        policy: 'always',
        backoffInitialMs: 100,
        backoffMaxMs: 60_000,
        maxAttempts: 0,
        resetAfterMs: 60_000,
      },
    });
    expect(last.state).toBe('crash_looping');
    // 100 + 200 + 400 + 800 ms are over before 2.5 s are; the next wait goes beyond.
    expect(last.restarts).toBeLessThanOrEqual(5);
  });

  test('that ignores the signal to end is killed after its grace', async () => {
    const last = await attack('trap "" TERM INT HUP; while :; do sleep 1; done');
    expect(last.state).toBe('running');
  });

  test('that leaves daemons behind takes them along', async () => {
    const last = await attack('for i in 1 2 3 4 5; do (setsid sleep 1000 &); done; exec sleep 1000');
    expect(last.usage?.pids ?? 6).toBeGreaterThan(5);
  });

  test('cannot write its limits, as root in the container', async () => {
    expect(
      await attempts([
        'for f in $(find /sys/fs/cgroup -name "*limit_in_bytes" -o -name "*.max"); do echo 9999999999 > $f && exit 0; done; false',
        'echo 1 > /sys/fs/cgroup/memory/cgroup.procs',
        'mkdir /sys/fs/cgroup/memory/mine',
        'echo 1 > /proc/sys/kernel/sysrq',
        'echo b > /proc/sysrq-trigger',
      ]),
    ).toMatch(/^completed/);
  });

  test('cannot mount, make or open devices, or trace, as root in the container', async () => {
    expect(
      await attempts([
        'mount -t tmpfs none /tmp',
        'mount -o remount,rw /',
        'umount /proc/kcore',
        'mknod /tmp/disk b 254 0 && dd if=/tmp/disk of=/dev/null count=1',
        'dd if=/dev/vda of=/dev/null count=1',
        'dd if=/dev/mem of=/dev/null count=1',
        'cat /proc/kcore | dd of=/dev/null count=1 && test -s /proc/kcore',
        'unshare -m true',
        'unshare -U true',
        'chroot /tmp true',
        'insmod /bin/busybox',
        'swapon /dev/zram0',
        'hostname other',
      ]),
    ).toMatch(/^completed/);
  });

  test('sees nothing of its neighbours, as root in the container', async () => {
    apply(victim());
    await until(isAnswering, { what: 'the neighbour to answer' });
    expect(
      await attempts([
        // The pattern does not match the attempt itself, whose command line is listed too.
        'ps | grep -q "[h]ttpd"',
        `test -e /proc/${status('victim')?.pid}`,
        'ls /run/wherry',
        'ip -o link | grep -vq ": lo:"',
        `nc 127.0.0.1 ${port} < /dev/null`,
      ]),
    ).toMatch(/^completed/);
  });

  test('is seen to succeed when it can', async () => {
    expect(await attempts(['false', 'ps | grep "[s]h -c"'])).toMatch(/^failed: Exited with code 11/);
  });
});

const fill = (path: string): string => `(while :; do dd if=/dev/zero of=${path} bs=1M; done) 2>/dev/null`;

/** Whether the neighbour gives any answer in time. */
const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const call = request({ port, path: '/', timeout: ANSWER_MS, agent: false }, (answer) => {
      answer.resume();
      resolve(true);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });

/** Processes of the machine that are in a cgroup of that name. */
const pidsOf = (cgroup: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${cgroup}\n`);
      } catch {
        return false;
      }
    });

function sizeOf(folder: string): number {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name)).length)
      .reduce((total, size) => total + size, 0);
  } catch {
    return 0;
  }
}
