import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasSwapAccounting } from '../agent/supervisor/cgroup/detect.ts';
import { execute } from '../agent/supervisor/execute.ts';
import { FakeChannels } from '../agent/supervisor/fake-channels.ts';
import { FakeNetworks } from '../agent/supervisor/fake-networks.ts';
import { ErofsRootfs } from '../agent/supervisor/images/erofs-rootfs.ts';
import type { CgroupTree } from '../agent/supervisor/ports.ts';
import { ConmonRuntime } from '../agent/supervisor/runtime/conmon.ts';
import { ociSpec } from '../agent/supervisor/runtime/oci-spec.ts';
import { runtimeProgram } from '../agent/supervisor/runtime/runtime-program.ts';
import type { ServiceSpec } from '../agent/supervisor/service-spec.ts';
import { systemClock } from '../agent/system-clock.ts';

const ROUNDS = 20;
export const INSTANCE = 'bench';

/** One way to start a container. `start` returns when its process runs; `stop` removes it; neither is timed as one. */
export interface Contender {
  start(): Promise<void> | void;
  stop(): Promise<void> | void;
  /** How often it is timed: engines are slow. */
  rounds: number;
}

export function agentPath(
  runDir: string,
  blobDir: string,
  spec: ServiceSpec,
  cgroups: CgroupTree,
): Contender {
  const rootfs = new ErofsRootfs({ runDir, blobPath: (verity) => join(blobDir, `${verity}.erofs`) });
  const runtime = new ConmonRuntime({
    runtime: 'crun',
    instance: INSTANCE,
    runDir,
    logsDir: join(runDir, 'logs'),
    logMaxBytes: 1024 * 1024,
    cgroupsPath: (service) => cgroups.pathOf(service),
    volumePath: (volume) => rootfs.volumePath(volume),
    hasSwapAccounting: hasSwapAccounting(),
  });
  const networks = new FakeNetworks();
  const host = { reboot: async () => 'not in a benchmark' };
  const machine = {
    runtime,
    cgroups,
    rootfs,
    networks,
    channels: new FakeChannels(),
    host,
    clock: systemClock,
  };
  const reason = { code: 'start.desired', message: '', at: 0 } as const;
  return {
    rounds: ROUNDS,
    start: async () => {
      await execute(machine, { kind: 'start', service: spec.name, spec, reason });
      const [container] = await runtime.observe();
      if (container?.state !== 'running')
        throw new Error(`The service does not run: ${JSON.stringify(container)}`);
    },
    stop: async () => void (await execute(machine, { kind: 'remove', service: spec.name })),
  };
}

/** `<runtime> run --detach` on a bundle that is ready. */
export function bareRuntime(
  name: 'crun' | 'runc',
  dir: string,
  rootfs: string,
  spec: ServiceSpec,
): Contender {
  const program = runtimeProgram(name, dir);
  const bundle = join(dir, `${name}-bundle`);
  mkdirSync(bundle, { recursive: true });
  const place = {
    rootfs,
    cgroupsPath: `/wherry-${INSTANCE}/${name}`,
    volumePath: () => '',
    hasSwapAccounting: hasSwapAccounting(),
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(ociSpec(spec, place)));
  const id = `wherry-${INSTANCE}-${name}`;
  return {
    rounds: ROUNDS,
    start: () => void execFileSync(program, ['run', '--detach', '--bundle', bundle, id], { stdio: 'ignore' }),
    stop: () => void execFileSync(program, ['delete', '--force', id], { stdio: 'ignore' }),
  };
}

/**
 * Milliseconds of each start, after one that is not counted. The contenders take turns, another one first each time, so
 * that whatever loads the machine, a removal just before included, meets all of them alike.
 */
export async function timeAll(contenders: Record<string, Contender>): Promise<Map<string, number[]>> {
  const samples = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
  const entries = Object.entries(contenders);
  for (let round = 0; round <= ROUNDS; round++) {
    const first = round % entries.length;
    for (const [name, { start, stop, rounds }] of [...entries.slice(first), ...entries.slice(0, first)]) {
      if (round > rounds) continue;
      const begin = performance.now();
      await start();
      if (round > 0) samples.get(name)?.push(performance.now() - begin);
      await stop();
    }
  }
  return samples;
}
