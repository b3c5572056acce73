import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { verityOf } from '../../protocol/fsverity.ts';
import { tinyImage } from './tiny-image.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'ipc/build.ts');
/** What `node ipc/build.ts` makes. */
const COMMAND = join(ROOT, `dist/ipc/linux-${process.arch}/wherry-ipc`);

/** The tiny image with `wherry-ipc` and a hostile program in /bin, as an EROFS blob in a folder below `dir`. */
export async function channelImage(dir: string): Promise<{ blobDir: string; verity: string }> {
  // It passes over what is up to date.
  if (existsSync(BUILD)) execFileSync(process.execPath, [BUILD, process.arch]);
  if (!existsSync(COMMAND))
    throw new Error(`Cannot make the image: there is no ${COMMAND}; run node ipc/build.ts`);
  const { folder } = await tinyImage();
  const blobDir = mkdtempSync(join(dir, 'image-'));
  const root = join(blobDir, 'root');
  cpSync(folder, root, { recursive: true, verbatimSymlinks: true });
  copyFileSync(COMMAND, join(root, 'bin/wherry-ipc'));
  const hostile = join(import.meta.dirname, 'channel-probe.c');
  execFileSync('cc', ['-static', '-O1', '-Wall', '-o', join(root, 'bin/channel-probe'), hostile]);
  execFileSync('mkfs.erofs', ['--quiet', join(blobDir, 'image.erofs'), root]);
  rmSync(root, { recursive: true });
  const { digest } = await verityOf(createReadStream(join(blobDir, 'image.erofs')));
  symlinkSync('image.erofs', join(blobDir, `${digest}.erofs`));
  return { blobDir, verity: digest };
}
