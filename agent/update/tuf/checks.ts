import { createHash } from 'node:crypto';
import type { MetaFile } from '@tufjs/models';
import { type RoleName, type SignedRole, TufError } from '../../../protocol/tuf.ts';
import { HASHES } from '../../../protocol/tuf-document.ts';

/** TUF 1.0.34 §5.3.10, §5.4.4, §5.5.6, §5.6.5: stops a freeze attack. `now` is trusted time, Unix milliseconds. */
export function checkFresh(role: string, { signed }: SignedRole<RoleName>, now: number): void {
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

/** TUF 1.0.34 §5.5.2, §5.6.2, §5.7.2: length and hashes, where the metadata above gives them. */
export function checkContent(what: string, file: ContentFacts, content: Buffer): void {
  const fault = faultOf(file, content);
  if (fault) throw new TufError('mismatch', `Cannot accept ${what}: ${fault}`);
}

export const isContent = (file: ContentFacts, content: Buffer): boolean =>
  faultOf(file, content) === undefined;

export type ContentFacts = Pick<MetaFile, 'length' | 'hashes'>;

function faultOf({ length, hashes = {} }: ContentFacts, content: Buffer): string | undefined {
  if (length !== undefined && content.length !== length)
    return `it has ${content.length} bytes; wanted ${length}`;
  // Digests of a kind that is not known here are passed over; parseRole saw to it that one is known.
  for (const algorithm of HASHES) {
    const wanted = Object.hasOwn(hashes, algorithm) ? hashes[algorithm] : undefined;
    if (wanted === undefined) continue;
    const is = createHash(algorithm).update(content).digest('hex');
    if (is !== wanted) return `its ${algorithm} is ${is.slice(0, 16)}; wanted ${wanted.slice(0, 16)}`;
  }
  return undefined;
}
