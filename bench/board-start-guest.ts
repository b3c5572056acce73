// Runs in a board: starts of one container by the agent's own path and by bare crun, in milliseconds, as one line of JSON.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCgroups } from '../agent/supervisor/cgroup/detect.ts';
import { serviceSpec } from '../test/support/service-specs.ts';
import { tinyImage } from '../test/support/tiny-image.ts';
import { agentPath, bareRuntime, INSTANCE, timeAll } from './start-contenders.ts';

async function measure(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
  const { blobDir, verity, folder } = await tinyImage();
  const spec = serviceSpec('start', { layers: [verity], args: ['/bin/sleep', '600'] });
  const cgroups = openCgroups(INSTANCE);
  await cgroups.prepare(spec.resources);
  const agent = agentPath(dir, blobDir, spec, cgroups);
  const samples = await timeAll({ agent, crun: bareRuntime('crun', dir, folder, spec) });
  await agent.stop();
  await cgroups.destroy();
  console.log(JSON.stringify(Object.fromEntries(samples)));
}

void measure();
