import type { MetaFile } from '@tufjs/models';
import { type RoleName, type SignedRole, TufError } from '../../../protocol/tuf.ts';

/** TUF 1.0.34 §5.3.10, §5.4.4, §5.5.6, §5.6.5: stops a freeze attack. `now` is trusted time, Unix milliseconds. */
export function checkFresh<R extends RoleName>(role: R, { signed }: SignedRole<R>, now: number): void {
  if (Date.parse(signed.expires) <= now)
    throw new TufError(
      'expired',
      `Cannot trust ${role}.json version ${signed.version}: it expired at ${signed.expires}; the server needs newer metadata`,
    );
}

/** TUF 1.0.34 §5.3.5, §5.4.3, §5.5.5: stops a rollback attack. */
export function checkNotOlder(what: string, version: number, trusted: number | undefined): void {
  if (trusted !== undefined && version < trusted)
    throw new TufError(
      'rollback',
      `Cannot accept ${what}: version is ${version}, but this device has already trusted ${trusted}`,
    );
}

/** TUF 1.0.34 §5.5.4, §5.6.4: stops a mix-and-match attack. */
export function checkVersion(what: string, version: number, wanted: number): void {
  if (version !== wanted)
    throw new TufError('mismatch', `Cannot accept ${what}: version is ${version}; wanted ${wanted}`);
}

/** TUF 1.0.34 §5.5.2, §5.6.2: length and hashes, where the metadata above gives them. */
export function checkContent(what: string, meta: MetaFile, content: Buffer): void {
  try {
    meta.verify(content);
  } catch (cause) {
    throw new TufError(
      'mismatch',
      `Cannot accept ${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

export function isContent(meta: MetaFile, content: Buffer): boolean {
  try {
    meta.verify(content);
    return true;
  } catch {
    return false;
  }
}
