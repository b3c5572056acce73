import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Files that survive a power cut. It stands with the protocol because the device, the server and the release tool
 * all keep signed state, this is the one folder that all three may import, and fsync is easily got wrong three times.
 */

/** Replaces a file as a whole: after a power cut it holds the old content or the new, never a mix. Durable at return. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
  const fresh = `${path}.new`;
  await writeSynced(fresh, content, mode);
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Writes a file and its data to the medium. Its name is durable only after `syncFolder`. */
export async function writeSynced(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'w', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames, links and deletions in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
