import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
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
  /** Where it enrolled, which gives objects over HTTPS too; absent in identities of before that. */
  https?: { host: string; port: number } | undefined;
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
  try {
    const record = await read(IDENTITY_FILES.record).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (record === undefined) return undefined;
    const { key, certificate, ca, fleetKey } = IDENTITY_FILES;
    return whole({
      ...(JSON.parse(record) as Identity),
      key: await read(key),
      certificate: await read(certificate),
      ca: await read(ca),
      fleetKey: await read(fleetKey),
    });
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot read the identity in ${folder}: ${what}; delete the folder and enrol again`, {
      cause,
    });
  }
}

/** Throws when a part cannot serve: a device must learn that here, not in the middle of a session. */
function whole(identity: Identity): Identity {
  const { device, tenant, platform, mqtt } = identity;
  for (const text of [device, tenant, platform, mqtt?.host])
    if (typeof text !== 'string') throw new Error(`${IDENTITY_FILES.record} is not an identity`);
  createPrivateKey(identity.key);
  createPublicKey(identity.fleetKey);
  for (const pem of [identity.certificate, identity.ca]) void new X509Certificate(pem);
  return identity;
}
