import { copyFile, link, mkdir, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '../files.ts';

/** Hard link where the two folders share a file system, copy elsewhere. A blob that is there already is kept. */
export async function placeBlob(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await link(from, to);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    if (!isErrno(error, 'EXDEV')) throw error;
    await copyFile(from, `${to}.partial`);
    await rename(`${to}.partial`, to);
  }
}
