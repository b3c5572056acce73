import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_BYTES, BUNDLE_FILE, type Bundle, checkBundle } from '../../protocol/bundle.ts';

export type ReadBundle = { ok: true; bundle: Bundle } | { ok: false; message: string };

/** The table of contents of an offline bundle. Nothing in it is trusted: it only says which release to look for. */
export async function readBundle(folder: string): Promise<ReadBundle> {
  const fail = (what: string): ReadBundle => ({ ok: false, message: `Cannot apply ${folder}: ${what}` });
  const path = join(folder, BUNDLE_FILE);
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    const file = await open(path, flags);
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > BUNDLE_BYTES)
        return fail(`${BUNDLE_FILE} is no file of at most ${BUNDLE_BYTES} bytes`);
      const checked = checkBundle(JSON.parse(await file.readFile('utf8')));
      return checked.ok ? { ok: true, bundle: checked.value } : fail(checked.faults.join('; '));
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return fail(`there is no ${BUNDLE_FILE} in it; give the folder that \`wherry release export\` made`);
    return fail(message);
  }
}
