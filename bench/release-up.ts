import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realSupervisor } from '../test/support/real-supervisor.ts';
import { serviceSpec } from '../test/support/service-specs.ts';
import { tinyImage } from '../test/support/tiny-image.ts';
import { until } from '../test/support/until.ts';
import { type DockerEngine, importImage } from './docker-engine.ts';

const SERVICES = 10;
const LIMITS = ['--memory=16m', '--memory-swap=16m', '--pids-limit=16', '--cpus=0.5', '--network=none'];

/** Milliseconds from "this release is wanted" to ten services running, from stopped. */
export async function agentReleaseUp(): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-release-up-'));
  const { blobDir, verity } = await tinyImage();
  const { supervisor } = realSupervisor(dir, `up${process.pid}`, blobDir);
  const services = Array.from({ length: SERVICES }, (_none, index) =>
    serviceSpec(`service-${index}`, {
      layers: [verity],
      args: ['/bin/sleep', '600'],
      stop: { signal: 'SIGKILL', graceMs: 100 },
    }),
  );
  supervisor.start();
  try {
    const begin = performance.now();
    supervisor.apply({ release: { name: 'up', version: '1', generation: 1 }, services });
    await until(() => supervisor.health().isConverged, { timeoutMs: 60_000, what: 'ten services' });
    return performance.now() - begin;
  } finally {
    await supervisor.stop({ services: 'stop' });
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The same of ten `docker run --detach` one after another, as a script would do it. */
export async function dockerReleaseUp(engine: DockerEngine, dir: string): Promise<number> {
  const image = `wherry-up-${process.pid}`;
  importImage(engine, (await tinyImage()).folder, image, dir);
  const names = Array.from({ length: SERVICES }, (_none, index) => `wherry-up-${index}`);
  const begin = performance.now();
  for (const name of names) engine.docker('run', '-d', '--name', name, ...LIMITS, image, '/bin/sleep', '600');
  const elapsed = performance.now() - begin;
  engine.docker('rm', '-f', ...names);
  return elapsed;
}
