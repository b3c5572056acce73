import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Whole or not at all, also across a power cut: temporary file, fsync, rename, fsync of the folder. */
export async function writeDurably(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', mode);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
