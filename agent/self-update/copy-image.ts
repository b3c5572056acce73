import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { access, constants, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { syncFolder } from '../../protocol/durable-file.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import { readMounts } from '../supervisor/images/mount-table.ts';
import { mountOverlay } from '../supervisor/images/overlay.ts';
import { runProgram } from '../supervisor/runtime/run-program.ts';
import type { AgentImage } from './agent-image.ts';

const run = promisify(execFile);
/** Node alone has more than 100 MB, and a slow card writes 5 MB/s. */
const COPY_MS = 600_000;
/** bin/choose-agent takes no folder whose name begins with a dot. */
const FRESH = '.fresh';

export interface CopyPlace {
  folder: string;
  mountDir: string;
  pathOf(verity: string): string;
}

/**
 * Copies what is in the layers into `<folder>/<id>`, which is there only when it is whole and durable. What is wrong
 * with the image is returned; a disk or a kernel that does not take it throws.
 */
export async function copyImage(image: AgentImage, place: CopyPlace): Promise<string | undefined> {
  const { folder, mountDir, pathOf } = place;
  for (const { verity } of image.layers) {
    // What runs as root outside any container is looked at once more than what is mounted for a service.
    const { digest } = await verityOf(createReadStream(pathOf(verity), { highWaterMark: 1024 * 1024 }));
    if (digest !== verity) return `blob ${verity.slice(0, 12)} of its agent is not what was signed`;
  }
  const fresh = join(folder, FRESH);
  await rm(fresh, { recursive: true, force: true });
  await unmountAll(mountDir);
  try {
    const root = await mountLayers(image, place);
    await mkdir(fresh, { mode: 0o755 });
    await run('cp', ['-a', `${root}/.`, fresh], { timeout: COPY_MS });
    const fault = await faultOf(fresh, image.version);
    if (fault !== undefined) return fault;
    await run('sync', ['-f', fresh], { timeout: COPY_MS });
    await rename(fresh, join(folder, image.id));
    await syncFolder(folder);
    return undefined;
  } finally {
    await unmountAll(mountDir);
    await rm(fresh, { recursive: true, force: true });
  }
}

async function mountLayers({ layers }: AgentImage, { mountDir, pathOf }: CopyPlace): Promise<string> {
  for (const [index, { verity }] of layers.entries()) {
    const point = join(mountDir, String(index));
    await mkdir(point, { recursive: true });
    await runProgram('mount', ['-t', 'erofs', '-o', 'ro,nodev,nosuid', pathOf(verity), point]);
  }
  if (layers.length === 1) return join(mountDir, '0');
  const root = join(mountDir, 'root');
  await mkdir(root, { recursive: true });
  const lower = layers.map((_layer, index) => index).reverse();
  await mountOverlay(`ro,nodev,nosuid,lowerdir=${lower.join(':')}`, root, mountDir);
  return root;
}

async function unmountAll(mountDir: string): Promise<void> {
  for (const { point } of readMounts(mountDir).reverse()) await runProgram('umount', [point]);
  await rm(mountDir, { recursive: true, force: true });
}

async function faultOf(root: string, version: string): Promise<string | undefined> {
  try {
    await access(join(root, 'bin/wherry-agent'), constants.X_OK);
    await access(join(root, 'dist/agent/main.js'), constants.R_OK);
    const said = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version;
    return said === version ? undefined : `its agent says it is ${said}; wanted ${version}`;
  } catch (error) {
    return `its agent is none: ${error instanceof Error ? error.message : String(error)}`;
  }
}
