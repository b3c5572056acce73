import { metadataObject, TIMESTAMP_OBJECT } from '../../protocol/objects.ts';
import type { Database } from '../store/tables.ts';
import { latestDelegated, latestRole, metadataNames, metadataText } from './metadata-store.ts';
import { type OnlineKeys, signSnapshot } from './online-roles.ts';

export interface BundleMetadata {
  /** Texts by object name. */
  files: Record<string, string>;
  /** When a device without a network stops taking them: the first of all roles to expire. Unix ms. */
  expiresAt: number;
}

/**
 * Metadata that a device can check without a network for `lifeMs`. Snapshot and timestamp get versions of their own,
 * and those for the network the next ones: devices that are connected keep to their short-lived ones.
 */
export async function signForBundle(
  database: Database,
  keys: OnlineKeys,
  now: number,
  lifeMs: number,
): Promise<BundleMetadata> {
  return database.transaction().execute(async (db) => {
    await signSnapshot(db, keys, now, { snapshotMs: lifeMs, timestampMs: lifeMs });
    const [root, targets, snapshot] = [
      await latestRole(db, 'root'),
      await latestRole(db, 'targets'),
      await latestRole(db, 'snapshot'),
    ];
    if (!root || !targets || !snapshot) throw new Error('Cannot make a bundle: nothing is published');
    const delegated = await latestDelegated(db);
    const names = [
      ...Array.from({ length: root.signed.version }, (_, index) => metadataObject('root', index + 1)),
      metadataObject('targets', targets.signed.version),
      metadataObject('snapshot', snapshot.signed.version),
      TIMESTAMP_OBJECT,
      ...metadataNames(delegated),
    ];
    const files: Record<string, string> = {};
    for (const name of names) {
      const text = await metadataText(db, name);
      // A server may have been given its first root at a later version.
      if (text !== undefined) files[name] = text;
    }
    await signSnapshot(db, keys, now);
    const roles = [root, targets, snapshot, ...[...delegated.values()].map(({ metadata }) => metadata)];
    return { files, expiresAt: Math.min(...roles.map(({ signed }) => Date.parse(signed.expires))) };
  });
}
