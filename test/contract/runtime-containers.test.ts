import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import type { ContainerRuntime, Executed, ObservedContainer, Place } from '../../agent/supervisor/ports.ts';
import { type ConmonOptions, ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import { FakeMachine, FakeRuntime } from '../../agent/supervisor/runtime/fake-runtime.ts';
import { commandLines } from '../support/command-lines.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { type TinyImage, tinyImage } from '../support/tiny-image.ts';
import { until } from '../support/until.ts';

interface Bench {
  /** A further adapter over the same machine, as after a restart of the agent. */
  open(): ContainerRuntime;
  /** Leaves what a start leaves that was cut off half-way. */
  wreck(service: string): void;
  isGone(pid: number): boolean;
  dispose(): Promise<void>;
}

let image: TinyImage;
beforeAll(async () => {
  image = await tinyImage();
});

const ok = async (): Promise<void> => undefined;
const place = (): Place => ({ rootfs: image.folder });
const never = new AbortController().signal;
const refusal = async (): Promise<void> => {
  throw new Error('not like this');
};
const sleeper = (name: string) =>
  serviceSpec(name, { args: ['/bin/sh', '-c', 'trap "exit 7" TERM; sleep 1000 & wait'] });
const exiting = (name: string, code: number) =>
  serviceSpec(name, { args: ['/bin/sh', '-c', `exit ${code}`] });

function fakeBench(): Bench {
  const machine = new FakeMachine(({ args }) => {
    const code = /^exit (\d+)$/.exec(args[2] ?? '')?.[1];
    return code === undefined ? undefined : { exitCode: Number(code), signal: undefined };
  });
  // A program "in the container" is one of this machine.
  machine.onExec = (_service, [program = '', ...args], signal) =>
    new Promise<Executed>((resolve) => {
      execFile(program, args, { signal, killSignal: 'SIGKILL' }, (error, stdout, stderr) =>
        resolve({
          exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : 137,
          output: (stdout + stderr).slice(0, 4096),
        }),
      );
    });
  return {
    open: () => new FakeRuntime(machine),
    wreck: (service) => machine.wreck(service),
    isGone: (pid) => ![...machine.containers.values()].some((c) => c.state === 'running' && c.pid === pid),
    dispose: async () => undefined,
  };
}

interface RealBench extends Bench {
  dir: string;
  open(options?: Partial<ConmonOptions>): ConmonRuntime;
}

function realBench(runtime: 'crun' | 'runc', suffix = ''): RealBench {
  const dir = mkdtempSync(join(tmpdir(), `wherry-runtime-${runtime}-`));
  const instance = `t${process.pid}${runtime}${suffix}`;
  const cgroups = openCgroups(instance);
  const open = (options: Partial<ConmonOptions> = {}) =>
    new ConmonRuntime({
      runtime,
      instance,
      runDir: join(dir, 'run'),
      logsDir: join(dir, 'logs'),
      logMaxBytes: 1 << 20,
      cgroupsPath: (service) => cgroups.pathOf(service),
      volumePath: (volume) => join(dir, 'volumes', volume),
      hasSwapAccounting: hasSwapAccounting(),
      ...options,
    });
  return {
    dir,
    open,
    wreck: (service) => mkdirSync(join(dir, 'run/services', service), { recursive: true }),
    isGone: (pid) => !/^State:\s+[^ZX]/m.test(statusOf(pid)),
    dispose: async () => {
      const left = open();
      for (const { service } of await left.observe()) {
        await left.remove(service);
        await cgroups.remove(service);
      }
      await cgroups.destroy();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

const benches: [string, () => Bench][] = [
  ['fake', fakeBench],
  ['crun', () => realBench('crun')],
  ['runc', () => realBench('runc')],
];

describe.each(benches)('containers under %s', (_name, makeBench) => {
  const bench = makeBench();
  let runtime = bench.open();
  const seen = async (service: string): Promise<ObservedContainer | undefined> =>
    (await runtime.observe()).find((container) => container.service === service);
  const ended = (service: string) =>
    until(
      async () => {
        const container = await seen(service);
        return container?.state === 'exited' ? container : undefined;
      },
      { what: `${service} to exit` },
    );

  afterEach(async () => {
    for (const { service } of await runtime.observe()) await runtime.remove(service);
  });
  afterAll(() => bench.dispose());

  test('a started service is seen running with its pid and specification', async () => {
    const spec = sleeper('one');
    const { pid } = await runtime.start(spec, place(), ok);
    expect(await seen('one')).toMatchObject({ state: 'running', pid, specDigest: spec.digest });
  });

  test('starting what runs already changes nothing', async () => {
    const first = await runtime.start(sleeper('one'), place(), ok);
    expect(await runtime.start(sleeper('one'), place(), ok)).toEqual(first);
  });

  test('when the look before the start throws, nothing is left', async () => {
    await expect(runtime.start(sleeper('one'), place(), refusal)).rejects.toThrow('not like this');
    expect(await seen('one')).toBeUndefined();
  });

  test('when the place cannot be made, the start fails with that error and nothing is left', async () => {
    const failed = Promise.reject<Place>(new Error('no such place'));
    failed.catch(() => undefined);
    await expect(runtime.start(sleeper('one'), failed, ok)).rejects.toThrow('no such place');
    expect(await seen('one')).toBeUndefined();
    await until(
      () => !commandLines().some((line) => line.includes(`conmon --api-version 1 -c wherry-t${process.pid}`)),
      { what: 'no conmon' },
    );
  });

  test('an exit code is seen, and watchers are told', async () => {
    let told = 0;
    const unwatch = runtime.watch(() => {
      told += 1;
    });
    await runtime.start(exiting('one', 3), place(), ok);
    expect(await ended('one')).toMatchObject({ exitCode: 3, signal: undefined });
    await until(() => told > 0, { what: 'the watcher to be told' });
    unwatch();
  });

  test('a death by signal is seen as one', async () => {
    await runtime.start(sleeper('one'), place(), ok);
    await runtime.kill('one', 'SIGKILL');
    expect(await ended('one')).toMatchObject({ signal: 9 });
  });

  test('signals to what has ended or never was are no error', async () => {
    await runtime.start(exiting('one', 0), place(), ok);
    await ended('one');
    await runtime.kill('one', 'SIGTERM');
    await runtime.kill('nobody', 'SIGTERM');
    await runtime.remove('nobody');
    expect((await seen('one'))?.state).toBe('exited');
  });

  test('removing what runs kills it', async () => {
    const { pid } = await runtime.start(sleeper('one'), place(), ok);
    await runtime.remove('one');
    await runtime.remove('one');
    expect(await seen('one')).toBeUndefined();
    await until(() => bench.isGone(pid), { what: `process ${pid} to be gone` });
  });

  test('a program run in a service tells its exit code and both its outputs', async () => {
    await runtime.start(sleeper('one'), place(), ok);
    const script = 'echo well; echo unwell >&2; exit 3';
    const { exitCode, output } = await runtime.exec('one', ['/bin/sh', '-c', script], never);
    expect(exitCode).toBe(3);
    expect(output.split('\n').sort()).toEqual(['', 'unwell', 'well']);
  });

  test('of what it says 4 KiB are kept', async () => {
    await runtime.start(sleeper('one'), place(), ok);
    const { exitCode, output } = await runtime.exec('one', ['/bin/sh', '-c', 'seq 20000'], never);
    expect(exitCode).toBe(0);
    expect(output).toHaveLength(4096);
  });

  test('a program that is told to end does', async () => {
    await runtime.start(sleeper('one'), place(), ok);
    const controller = new AbortController();
    const run = runtime.exec('one', ['/bin/sh', '-c', 'exec sleep 1000'], controller.signal);
    controller.abort();
    expect(await run).toMatchObject({ exitCode: 137 });
    expect((await seen('one'))?.state).toBe('running');
  });

  test('nothing can be run in what does not run', async () => {
    await expect(runtime.exec('nobody', ['/bin/true'], never)).rejects.toThrow('it does not run');
  });

  test('another adapter finds the same process', async () => {
    const { pid } = await runtime.start(sleeper('one'), place(), ok);
    runtime = bench.open();
    expect(await seen('one')).toMatchObject({ state: 'running', pid });
  });

  test('a start that was cut off half-way is broken until it is removed', async () => {
    bench.wreck('one');
    expect((await seen('one'))?.state).toBe('broken');
    await runtime.remove('one');
    expect(await seen('one')).toBeUndefined();
    await runtime.start(sleeper('one'), place(), ok);
    expect((await seen('one'))?.state).toBe('running');
  });
});

describe.each(['crun', 'runc'] as const)('a real container under %s', (name) => {
  const bench = realBench(name, 'x');
  const runtime = bench.open();
  afterEach(async () => {
    for (const { service } of await runtime.observe()) await runtime.remove(service);
  });
  afterAll(() => bench.dispose());
  const run = async (service: string, script: string): Promise<string> =>
    (await runtime.exec(service, ['/bin/sh', '-c', script], never)).output.trim();

  test('refuses with the words of the runtime', async () => {
    const spec = serviceSpec('absent', { args: ['/no/such/program'] });
    const start = runtime.start(spec, place(), ok);
    await expect(start).rejects.toThrow(/Cannot create the container of service "absent": .*no such file/i);
  });

  test('runs programs that the kernel takes no later than the service, for want of memory', async () => {
    const { pid } = await runtime.start(sleeper('one'), place(), ok);
    const score = await run('one', 'cat /proc/self/oom_score_adj');
    expect(score).toBe(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim());
    expect(Number(score)).toBeGreaterThan(0);
  });

  test('runs programs as the user and within the cgroups of the service', async () => {
    const { pid } = await runtime.start(sleeper('one'), place(), ok);
    expect(await run('one', 'echo $(id -u) $(id -g)')).toBe('1000 1000');
    expect(await run('one', 'cat /proc/self/cgroup')).toBe(await run('one', 'cat /proc/1/cgroup'));
    expect(
      await run('one', 'cat /proc/self/status | while read k v; do case $k in CapEff:) echo $v;; esac; done'),
    ).toBe('0000000000000000');
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain('/one');
  });

  test.each([
    ['was told to end', true],
    ['ended by itself', false],
  ])('leaves nothing of a program that %s, daemons included', async (_how, isTold) => {
    await runtime.start(sleeper('one'), place(), ok);
    const controller = new AbortController();
    const script = `(sleep 2001 &) ; sleep 2002 & (env -i sleep 2003 &) ; ${isTold ? 'sleep 2004' : 'true'}`;
    const done = runtime.exec('one', ['/bin/sh', '-c', script], controller.signal);
    if (isTold) {
      await until(() => commandLines().some((line) => line.includes('sleep 2004')), {
        what: 'the program to run',
      });
      controller.abort();
    }
    await done;
    await until(() => !commandLines().some((line) => /^sleep 200[1-4]/.test(line)), {
      what: 'nothing to be left',
    });
    expect((await runtime.observe())[0]?.state).toBe('running');
  });

  test('with an init has its orphans reaped and its exit code kept', async () => {
    const script = 'for i in 1 2 3 4 5; do (true &) ; done; sleep 1000 & trap "exit 9" TERM; wait';
    await runtime.start(serviceSpec('one', { args: ['/bin/sh', '-c', script], init: true }), place(), ok);
    expect(await run('one', 'cat /proc/1/cmdline')).toContain('/dev/init');
    const zombies =
      'n=0; for f in /proc/[0-9]*/stat; do read a b c r < $f; [ "$c" = Z ] && n=$((n+1)); done; echo $n';
    await until(async () => (await run('one', zombies)) === '0', { what: 'no zombie to be left' });
    await runtime.kill('one', 'SIGTERM');
    await until(async () => (await runtime.observe())[0]?.state === 'exited', { what: 'its end' });
    expect((await runtime.observe())[0]).toMatchObject({ exitCode: 9 });
  });

  test('whose monitor was killed is broken, and its removal leaves nothing', async () => {
    const { pid } = await runtime.start(sleeper('one'), place(), ok);
    process.kill(runtime.monitorWritten('one')?.pid ?? 0, 'SIGKILL');
    await until(async () => (await runtime.observe())[0]?.state === 'broken', {
      what: 'the loss to be seen',
    });
    expect((await runtime.observe())[0]).toMatchObject({
      detail: expect.stringContaining('exit code is lost'),
    });
    await runtime.remove('one');
    await until(() => bench.isGone(pid), { what: `process ${pid} to be gone` });
    expect(await runtime.observe()).toEqual([]);
    expect(readdirSync(join(bench.dir, 'run/oci'))).toEqual([]);
  });
});

describe('runtimes by name', () => {
  const bench = realBench('runc', 'n');
  const script = join(bench.dir, 'third');
  const called = join(bench.dir, 'called');
  const calls = (): string => (existsSync(called) ? readFileSync(called, 'utf8') : '');
  const runtimes = { runc: { program: 'runc' }, third: { program: script, args: ['--log-format=json'] } };
  beforeAll(() => {
    writeFileSync(script, `#!/bin/sh\necho "$@" >>${called}\nexec runc "$@"\n`);
    chmodSync(script, 0o700);
  });
  afterAll(() => bench.dispose());

  test('one that is not configured is refused with those that are', async () => {
    const start = bench.open({ runtimes }).start(serviceSpec('one', { runtime: 'gvisor' }), place(), ok);
    await expect(start).rejects.toMatchObject({
      code: 'fail.runtime',
      message: 'Cannot use runtime "gvisor": not configured on this device; known: runc, third',
    });
    expect(await bench.open().observe()).toEqual([]);
  });

  test('one of the configuration makes the container and removes it, whatever is configured by then', async () => {
    await bench.open({ runtimes }).start({ ...sleeper('one'), runtime: 'third' }, place(), ok);
    expect(calls()).toMatch(/--log-format=json --root=\S+ create /);
    await bench.open().remove('one');
    expect(calls()).toMatch(/--log-format=json --root=\S+ delete --force /);
  });

  test('a service without one is not touched by the others', async () => {
    rmSync(called, { force: true });
    const runtime = bench.open({ runtimes });
    await runtime.start(sleeper('one'), place(), ok);
    await runtime.remove('one');
    expect(calls()).toBe('');
  });

  test('the monitor is held before the service runs', async () => {
    const held: [string, number][] = [];
    const runtime = bench.open({ holdMonitor: async (service, pid) => void held.push([service, pid]) });
    await runtime.start(sleeper('one'), place(), async () => expect(held).toHaveLength(1));
    expect(held).toEqual([['one', runtime.monitorWritten('one')?.pid]]);
  });
});
