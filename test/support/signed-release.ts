import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { Key, Metadata, Root, TargetFile, Targets } from '@tufjs/models';
import type { PublishRelease, Repository } from '../../fleet-server/rest/api.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import { type Manifest, targetPath } from '../../protocol/manifest.ts';
import { keyIdOf, roleText, signRole, tufKeyOf } from '../../protocol/tuf.ts';

const EXPIRES = '2099-01-01T00:00:00Z';

export interface Signer {
  root: KeyObject;
  targets: KeyObject;
  rootText: string;
  /** Manifests signed so far, by target path. */
  paths: Record<string, TargetFile>;
}

export interface BuiltRelease {
  blob: Buffer;
  blobName: string;
  manifest: Manifest;
  manifestText: string;
  manifestSha256: string;
}

/** A signer whose root names the server's online keys. */
export function makeSigner({ onlineKeys }: Repository): Signer {
  const [root, targets] = [newKey(), newKey()];
  const metadata = new Metadata(
    new Root({ version: 1, specVersion: '1.0.34', expires: EXPIRES, consistentSnapshot: true }),
  );
  metadata.signed.addKey(tufKeyOf(root), 'root');
  metadata.signed.addKey(tufKeyOf(targets), 'targets');
  metadata.signed.addKey(Key.fromJSON(keyIdOf(onlineKeys.snapshot), { ...onlineKeys.snapshot }), 'snapshot');
  metadata.signed.addKey(
    Key.fromJSON(keyIdOf(onlineKeys.timestamp), { ...onlineKeys.timestamp }),
    'timestamp',
  );
  signRole<'root'>(metadata, root);
  return { root, targets, rootText: roleText<'root'>(metadata), paths: {} };
}

/** A release of one service on one random blob. */
export async function buildRelease(
  version: string,
  options: {
    blob?: Buffer<ArrayBuffer>;
    blobBytes?: number;
    boards?: string[];
    memoryMaxBytes?: number;
  } = {},
): Promise<BuiltRelease> {
  const blob = options.blob ?? randomBytes(options.blobBytes ?? 300_000);
  const { digest } = await verityOf(
    (async function* () {
      yield blob;
    })(),
  );
  const manifest: Manifest = {
    v: 1,
    name: 'demo',
    version,
    boards: options.boards ?? ['generic-amd64'],
    services: {
      web: {
        images: {
          'linux/amd64': {
            manifestDigest: sha256Hex('image'),
            layers: [{ verity: digest, size: blob.length, diffId: sha256Hex('layer') }],
            args: ['/bin/true'],
            environment: {},
            workingDir: '/',
            uid: 1000,
            gid: 1000,
          },
        },
        resources: { memoryMaxBytes: options.memoryMaxBytes ?? 16 * 1024 * 1024, cpuMax: 0.1, pidsMax: 16 },
        restart: {
          policy: 'always',
          backoffInitialMs: 1_000,
          backoffMaxMs: 10_000,
          maxAttempts: 0,
          resetAfterMs: 60_000,
        },
        stop: { signal: 'SIGTERM', graceMs: 5_000 },
        network: 'none',
        security: { readOnlyRoot: true, capabilities: [] },
        mounts: [],
      },
    },
    volumes: {},
    policy: { soakMs: 1_000 },
  };
  const manifestText = JSON.stringify(manifest);
  return {
    blob,
    blobName: `blob-${digest}`,
    manifest,
    manifestText,
    manifestSha256: sha256Hex(manifestText),
  };
}

/** What POST /releases takes: targets of `version` that name this release and all before it. */
export function signRelease(
  signer: Signer,
  release: Pick<BuiltRelease, 'manifest' | 'manifestText' | 'manifestSha256'>,
  version: number,
  by: KeyObject = signer.targets,
): PublishRelease {
  const path = targetPath(release.manifest.name, release.manifest.version);
  signer.paths[path] = new TargetFile({
    path,
    length: Buffer.byteLength(release.manifestText),
    hashes: { sha256: release.manifestSha256 },
  });
  const targets = new Metadata(
    new Targets({ version, specVersion: '1.0.34', expires: EXPIRES, targets: { ...signer.paths } }),
  );
  signRole<'targets'>(targets, by);
  return {
    manifestSha256: release.manifestSha256,
    roots: [signer.rootText],
    targets: roleText<'targets'>(targets),
  };
}

export const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
