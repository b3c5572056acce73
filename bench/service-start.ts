// How long from the call to a running process: the agent's own path (mounts, conmon + runtime, read-back of the budget)
// against bare runtimes and engines, on the same root filesystem and with the same budget.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCgroups } from '../agent/supervisor/cgroup/detect.ts';
import { serviceSpec } from '../test/support/service-specs.ts';
import { tinyImage } from '../test/support/tiny-image.ts';
import { type Bench, median, round } from './bench.ts';
import { type DockerEngine, importImage, openDocker } from './docker-engine.ts';
import { agentReleaseUp, dockerReleaseUp } from './release-up.ts';
import { agentPath, bareRuntime, type Contender, INSTANCE, timeAll } from './start-contenders.ts';

/** The agent's own budget and limits, in the words of engines. */
const ENGINE_FLAGS = [
  '--memory=16m',
  '--pids-limit=16',
  '--cpus=0.5',
  '--network=none',
  '--ulimit=nofile=1024:4096',
  '--ulimit=nproc=1024:1024',
];

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
