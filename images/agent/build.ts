// The Wherry agent as an OCI image, for `agent.image` of a release: docs/adr/0013-agent-self-update.md.
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { placeAgentFiles } from '../../boards/builder/agent-tree.ts';
import { placeNode } from '../../boards/builder/node-binary.ts';
import type { Platform } from '../../protocol/manifest.ts';
import { buildAgent } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { packed } from '../layers.ts';
import { addLayer, configure, createLayout, finishLayout } from '../layout.ts';

const PLATFORMS: Platform[] = ['linux/amd64', 'linux/arm64'];

export interface AgentImageOptions {
  /** Becomes an OCI image layout; one that is there is replaced. */
  layout: string;
  /** Downloads of Node are kept here. */
  cacheDir: string;
  platforms?: Platform[];
  /** Without Node the agent runs under the one of the system image: right where the two are of one version. */
  withNode?: boolean;
}

/** Resolves with the version that `agent.version` of a release has to say. */
export async function buildAgentImage(options: AgentImageOptions): Promise<string> {
  const { layout, cacheDir, platforms = PLATFORMS, withNode = true } = options;
  await buildAgent(() => {});
  await mkdir(join(layout, '..'), { recursive: true });
  const work = await mkdtemp(`${layout}.work-`);
  try {
    const fresh = join(work, 'layout');
    await createLayout(fresh, platforms);
    for (const platform of platforms) {
      // Node is the lower layer: it is large, seldom another, and then not sent again.
      if (withNode) {
        await placeNode(ROOT, cacheDir, join(work, 'node', 'node_modules/.bin'), platform);
        await addLayer(fresh, platform, await packed(work, 'node'));
      }
      await placeAgentFiles(ROOT, join(work, 'agent'), platform);
      await addLayer(fresh, platform, await packed(work, 'agent'));
      await configure(fresh, platform, { user: 'root', entrypoint: ['/bin/wherry-agent'] });
    }
    await finishLayout(fresh, platforms);
    await rm(layout, { recursive: true, force: true });
    await rename(fresh, layout);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'without-node': { type: 'boolean', default: false } },
  });
  const [layout = join(ROOT, 'images/.build/agent')] = positionals;
  const cacheDir = join(ROOT, 'images/.build/cache');
  const version = await buildAgentImage({ layout, cacheDir, withNode: !values['without-node'] });
  console.log(`The agent ${version} is in ${layout}`);
}
