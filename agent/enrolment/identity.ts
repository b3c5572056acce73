import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Platform } from '../../protocol/manifest.ts';

export interface Identity {
  v: 1;
  device: string;
  tenant: string;
  board: string;
  platform: Platform;
  mqtt: { host: string; port: number };
  /** PEM: the private key, the client certificate, the CA of the server, the fleet's public key (SPKI). */
  key: string;
  certificate: string;
  ca: string;
  fleetKey: string;
}

export const IDENTITY_FILES = {
  key: 'device.key',
  certificate: 'device.crt',
  ca: 'ca.crt',
  fleetKey: 'fleet.pub',
  record: 'identity.json',
} as const;

/** Undefined when the device is not enrolled, or was cut off while enrolling: identity.json is written last. */
export async function loadIdentity(folder: string): Promise<Identity | undefined> {
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  let record: string;
  try {
    record = await read(IDENTITY_FILES.record);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { key, certificate, ca, fleetKey } = IDENTITY_FILES;
    return {
      ...(JSON.parse(record) as Identity),
      key: await read(key),
      certificate: await read(certificate),
      ca: await read(ca),
      fleetKey: await read(fleetKey),
    };
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot read the identity in ${folder}: ${what}; delete the folder and enrol again`, {
      cause,
    });
  }
}
