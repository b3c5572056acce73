import type { KeyObject } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ed25519KeyFile } from './ed25519-file.ts';
import { FleetKeys } from './fleet-keys.ts';

/** The keys that sign without a person: assignments, snapshot, timestamp. None of them can make a release. */
export interface ServerKeys {
  fleet: FleetKeys;
  snapshot: KeyObject;
  timestamp: KeyObject;
}

export async function openKeys(folder: string): Promise<ServerKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return {
    fleet: await FleetKeys.open(folder),
    snapshot: await ed25519KeyFile(join(folder, 'snapshot.pem')),
    timestamp: await ed25519KeyFile(join(folder, 'timestamp.pem')),
  };
}
