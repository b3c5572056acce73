// How long from the call to a running process: the agent's own path (mounts, conmon + runtime, read-back of the budget)
// against bare runtimes and engines, on the same root filesystem and with the same budget.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasSwapAccounting, openCgroups } from '../agent/supervisor/cgroup/detect.ts';
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
import { serviceSpec } from '../test/support/service-specs.ts';
import { tinyImage } from '../test/support/tiny-image.ts';
import { type Bench, median, round } from './bench.ts';
import { type DockerEngine, importImage, openDocker } from './docker-engine.ts';
import { agentReleaseUp, dockerReleaseUp } from './release-up.ts';

const ROUNDS = 20;
const INSTANCE = 'bench';
/** The agent's own budget and limits, in the words of engines. */
const ENGINE_FLAGS = [
  '--memory=16m',
  '--pids-limit=16',
  '--cpus=0.5',
  '--network=none',
  '--ulimit=nofile=1024:4096',
  '--ulimit=nproc=1024:1024',
];

/** One way to start a container. `start` returns when its process runs; `stop` removes it; neither is timed as one. */
interface Contender {
  start(): Promise<void> | void;
  stop(): Promise<void> | void;
  /** How often it is timed: engines are slow. */
  rounds: number;
}

function agentPath(runDir: string, blobDir: string, spec: ServiceSpec, cgroups: CgroupTree): Contender {
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
function bareRuntime(name: 'crun' | 'runc', dir: string, rootfs: string, spec: ServiceSpec): Contender {
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

/** podman on the same root folder. It needs runc where the machine has cgroup v1. */
function podman(rootfs: string): Contender {
  const name = `wherry-${INSTANCE}-podman`;
  const common = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs'];
  return {
    rounds: 5,
    start: () =>
      void execFileSync(
        'podman',
        [
          ...common,
          'run',
          '--detach',
          '--name',
          name,
          ...ENGINE_FLAGS,
          '--rootfs',
          rootfs,
          '/bin/sleep',
          '600',
        ],
        { stdio: 'ignore' },
      ),
    stop: () =>
      void execFileSync('podman', [...common, 'rm', '--force', '--time', '0', name], { stdio: 'ignore' }),
  };
}

function docker(engine: DockerEngine, folder: string, dir: string): Contender {
  const name = `wherry-${INSTANCE}-docker`;
  importImage(engine, folder, name, dir);
  return {
    rounds: 5,
    start: () =>
      void engine.docker('run', '--detach', '--name', name, ...ENGINE_FLAGS, name, '/bin/sleep', '600'),
    stop: () => void engine.docker('rm', '--force', name),
  };
}

/**
 * Milliseconds of each start, after one that is not counted. The contenders take turns, another one first each time, so
 * that whatever loads the machine, a removal just before included, meets all of them alike.
 */
async function timeAll(contenders: Record<string, Contender>): Promise<Map<string, number[]>> {
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

const works = (program: string): boolean => spawnSync(program, ['info'], { stdio: 'ignore' }).status === 0;

export const bench: Bench = async () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
  const { blobDir, verity, folder } = await tinyImage();
  const spec = serviceSpec('start', { layers: [verity], args: ['/bin/sleep', '600'] });
  const cgroups = openCgroups(INSTANCE);
  await cgroups.prepare(spec.resources);
  const engine = await openDocker(dir);
  const agent = agentPath(dir, blobDir, spec, cgroups);
  const contenders: Record<string, Contender> = {
    agent,
    crun: bareRuntime('crun', dir, folder, spec),
    runc: bareRuntime('runc', dir, folder, spec),
    ...(works('podman') && { podman: podman(folder) }),
    ...(engine && { docker: docker(engine, folder, dir) }),
  };
  const medians: Record<string, number> = {};
  const rows: Record<string, Record<string, string | number>> = {};
  try {
    for (const [name, samples] of await timeAll(contenders)) {
      medians[name] = median(samples);
      rows[name] = {
        'median ms': round(medians[name]),
        'min ms': round(Math.min(...samples)),
        'max ms': round(Math.max(...samples)),
        starts: samples.length,
      };
    }
    if (engine) medians['docker_up'] = await dockerReleaseUp(engine, dir);
  } finally {
    await engine?.stop();
    await agent.stop();
    await cgroups.destroy();
    rmSync(dir, { recursive: true, force: true });
  }
  const metrics: Record<string, number> = { agent_ms: round(medians['agent'] ?? 0) };
  for (const peer of ['crun', 'runc', 'podman', 'docker']) {
    if (medians[peer]) metrics[`ratio_vs_${peer}`] = round((medians['agent'] ?? 0) / medians[peer]);
  }
  const up = await agentReleaseUp();
  metrics['release_up_ms'] = round(up);
  if (medians['docker_up']) metrics['ratio_release_up_vs_docker'] = round(up / medians['docker_up']);
  return { rows, metrics };
};
