import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasSwapAccounting, openCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import type { ContainerRuntime, ObservedContainer } from '../../agent/supervisor/ports.ts';
import { ConmonRuntime } from '../../agent/supervisor/runtime/conmon.ts';
import { FakeMachine, FakeRuntime } from '../../agent/supervisor/runtime/fake-runtime.ts';
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
const rootfs = (): string => image.folder;
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
  return {
    open: () => new FakeRuntime(machine),
    wreck: (service) => machine.wreck(service),
    isGone: (pid) => ![...machine.containers.values()].some((c) => c.state === 'running' && c.pid === pid),
    dispose: async () => undefined,
  };
}

function realBench(runtime: 'crun' | 'runc'): Bench {
  const dir = mkdtempSync(join(tmpdir(), `wherry-runtime-${runtime}-`));
  const instance = `t${process.pid}${runtime}`;
  const cgroups = openCgroups(instance);
  const open = () =>
    new ConmonRuntime({
      runtime,
      instance,
      runDir: join(dir, 'run'),
      logsDir: join(dir, 'logs'),
      logMaxBytes: 1 << 20,
      cgroupsPath: (service) => cgroups.pathOf(service),
      volumePath: (volume) => join(dir, 'volumes', volume),
      hasSwapAccounting: hasSwapAccounting(),
    });
  return {
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
    const { pid } = await runtime.start(spec, rootfs(), ok);
    expect(await seen('one')).toMatchObject({ state: 'running', pid, specDigest: spec.digest });
  });

  test('starting what runs already changes nothing', async () => {
    const first = await runtime.start(sleeper('one'), rootfs(), ok);
    expect(await runtime.start(sleeper('one'), rootfs(), ok)).toEqual(first);
  });

  test('when the look before the start throws, nothing is left', async () => {
    await expect(runtime.start(sleeper('one'), rootfs(), refusal)).rejects.toThrow('not like this');
    expect(await seen('one')).toBeUndefined();
  });

  test('an exit code is seen, and watchers are told', async () => {
    let told = 0;
    const unwatch = runtime.watch(() => {
      told += 1;
    });
    await runtime.start(exiting('one', 3), rootfs(), ok);
    expect(await ended('one')).toMatchObject({ exitCode: 3, signal: undefined });
    await until(() => told > 0, { what: 'the watcher to be told' });
    unwatch();
  });

  test('a death by signal is seen as one', async () => {
    await runtime.start(sleeper('one'), rootfs(), ok);
    await runtime.kill('one', 'SIGKILL');
    expect(await ended('one')).toMatchObject({ signal: 9 });
  });

  test('signals to what has ended or never was are no error', async () => {
    await runtime.start(exiting('one', 0), rootfs(), ok);
    await ended('one');
    await runtime.kill('one', 'SIGTERM');
    await runtime.kill('nobody', 'SIGTERM');
    await runtime.remove('nobody');
    expect((await seen('one'))?.state).toBe('exited');
  });

  test('removing what runs kills it', async () => {
    const { pid } = await runtime.start(sleeper('one'), rootfs(), ok);
    await runtime.remove('one');
    await runtime.remove('one');
    expect(await seen('one')).toBeUndefined();
    await until(() => bench.isGone(pid), { what: `process ${pid} to be gone` });
  });

  test('another adapter finds the same process', async () => {
    const { pid } = await runtime.start(sleeper('one'), rootfs(), ok);
    runtime = bench.open();
    expect(await seen('one')).toMatchObject({ state: 'running', pid });
  });

  test('a start that was cut off half-way is broken until it is removed', async () => {
    bench.wreck('one');
    expect((await seen('one'))?.state).toBe('broken');
    await runtime.remove('one');
    expect(await seen('one')).toBeUndefined();
    await runtime.start(sleeper('one'), rootfs(), ok);
    expect((await seen('one'))?.state).toBe('running');
  });
});

describe('what a real runtime says', () => {
  const bench = realBench('crun');
  afterAll(() => bench.dispose());

  test('reaches the caller when it refuses a container', async () => {
    const spec = serviceSpec('absent', { args: ['/no/such/program'] });
    const start = bench.open().start(spec, image.folder, async () => undefined);
    await expect(start).rejects.toThrow(/Cannot create the container of service "absent": .*no such file/i);
  });
});
