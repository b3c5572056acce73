import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Hex digest over values that JSON can tell apart. */
export const keyOf = (...parts: unknown[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24);

/** Digest over the names and bytes of all files of a folder, its tests apart. */
export async function folderKey(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort())
    hash
      .update(`${relative(folder, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  return hash.digest('hex').slice(0, 24);
}

/**
 * The folder `<dir>/<name>-<key>`, made at most once: it appears whole or not at all. Those of the same name with
 * other keys are removed.
 */
export async function made(
  dir: string,
  name: string,
  key: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(dir, `${name}-${key}`);
  if (existsSync(folder)) return folder;
  await mkdir(dir, { recursive: true });
  const work = await mkdtemp(join(dir, `new-${name}-`));
  try {
    await make(work);
    // Somebody else made the same meanwhile, and may use it by now.
    if (existsSync(folder)) return folder;
    for (const old of await readdir(dir))
      if (old.startsWith(`${name}-`)) await rm(join(dir, old), { recursive: true, force: true });
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}
