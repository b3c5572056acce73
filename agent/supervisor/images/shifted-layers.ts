import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import type { IdRange } from '../runtime/placement.ts';
import { runProgram } from '../runtime/run-program.ts';
import { mountOverlay } from './overlay.ts';

/** Name, in a service's home, of what lies over its layers when they could not be mapped. */
export const SHIFTED = 'shifted/upper';

/**
 * For kernels that cannot map the ids of layers: an overlay with `metacopy` (Linux 4.19) in which each file is given to
 * the range. What is kept of that, in a tmpfs below `home`, is owners and modes, no contents: about 1.2 KiB of kernel
 * memory a file. `lower` are folders as overlay options name them from `home`, highest first.
 */
export async function shiftLayers(range: IdRange, lower: readonly string[], home: string): Promise<void> {
  const folder = join(home, 'shifted');
  mkdirSync(folder);
  await runProgram('mount', ['-t', 'tmpfs', '-o', 'mode=711,nosuid,nodev', 'wherry-shifted', folder]);
  for (const name of ['upper', 'work', 'view']) mkdirSync(join(folder, name));
  const options = `metacopy=on,lowerdir=${lower.join(':')},upperdir=${SHIFTED},workdir=shifted/work`;
  const view = join(folder, 'view');
  await mountOverlay(options, view, home);
  try {
    await giveAway(view, range);
  } finally {
    await runProgram('umount', [view]);
  }
}

/** Ids beyond the range stay: in the container they are nobody's, as in a mapped mount. */
async function giveAway(path: string, range: IdRange): Promise<void> {
  const { uid, gid, mode } = lstatSync(path);
  const shifted = (id: number): number => (id < range.size ? range.hostBase + id : id);
  lchownSync(path, shifted(uid), shifted(gid));
  const kind = mode & 0o170_000;
  // The kernel takes these bits from a file that changes hands.
  if (kind === 0o100_000 && (mode & 0o6000) !== 0) chmodSync(path, mode & 0o7777);
  if (kind !== 0o040_000) return;
  // Images have thousands of files; the agent goes on with other things between folders.
  await breathe();
  for (const name of readdirSync(path)) await giveAway(join(path, name), range);
}

/** Why this machine cannot do it, tried on one file; undefined when it can. */
export async function whyNotShifted(runDir: string): Promise<string | undefined> {
  const home = join(runDir, 'shift-probe');
  mkdirSync(join(home, 'layer'), { recursive: true });
  writeFileSync(join(home, 'layer/file'), 'x');
  const range = { hostBase: 2_000_000_000, size: 65_536 };
  try {
    await shiftLayers(range, ['layer'], home);
    const { uid, blocks } = statSync(join(home, SHIFTED, 'file'));
    if (uid === range.hostBase && blocks === 0) return undefined;
    return 'its overlay filesystem copies whole files (CONFIG_OVERLAY_FS_METACOPY)';
  } catch (error) {
    return error instanceof Error ? error.message.slice(-200) : String(error);
  } finally {
    await runProgram('umount', ['--recursive', join(home, 'shifted')]).catch(() => undefined);
    rmSync(home, { recursive: true });
  }
}
