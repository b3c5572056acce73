import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import type { Manifest, ManifestService } from '../../protocol/manifest.ts';
import { blobObject, manifestObject } from '../../protocol/objects.ts';
import type { TestFleet } from './fleet-server.ts';
import { type Signer, signRelease } from './signed-release.ts';
import { tinyImage } from './tiny-image.ts';

/** An EROFS image on disk. */
export interface Layer {
  verity: string;
  size: number;
  path: string;
}

export interface ServiceRelease {
  layers: Layer[];
  manifest: Manifest;
  manifestText: string;
  manifestSha256: string;
}

/** Runs until it is asked to end, and then ends at once. */
export const WILLING = ['/bin/sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1 & wait $!; done'];
/** PID 1 without a handler: the kernel drops its SIGTERM, so that stopping it takes the whole grace. */
export const STUBBORN = ['/bin/sleep', '100000'];

/** The static busybox every test service runs from. */
export async function busyboxLayer(): Promise<Layer> {
  const { blobDir, verity } = await tinyImage();
  return layerAt(join(blobDir, `${verity}.erofs`), verity);
}

/** A layer nobody has yet: random bytes, which no compression makes smaller. */
export async function noiseLayer(dir: string, bytes: number): Promise<Layer> {
  const name = randomBytes(6).toString('hex');
  const folder = join(dir, `noise-${name}`);
  mkdirSync(join(folder, 'noise'), { recursive: true });
  writeFileSync(join(folder, 'noise', name), randomBytes(bytes));
  const path = `${folder}.erofs`;
  execFileSync('mkfs.erofs', ['--quiet', path, folder]);
  const { digest } = await verityOf(createReadStream(path));
  return layerAt(path, digest);
}

const layerAt = (path: string, verity: string): Layer => ({ path, verity, size: statSync(path).size });

export interface ServiceParts {
  layers: Layer[];
  args?: string[];
  restart?: Partial<ManifestService['restart']>;
  graceMs?: number;
  /** Cores. */
  cpuMax?: number;
  update?: ManifestService['update'];
}

/** A release of real services, not signed yet. */
export function serviceRelease(
  version: string,
  services: Record<string, ServiceParts>,
  { boards = ['generic-amd64'], soakMs = 500 }: { boards?: string[]; soakMs?: number } = {},
): ServiceRelease {
  const manifest: Manifest = {
    v: 1,
    name: 'boat',
    version,
    boards,
    services: Object.fromEntries(Object.entries(services).map(([name, parts]) => [name, service(parts)])),
    volumes: {},
    policy: { soakMs },
  };
  const manifestText = JSON.stringify(manifest);
  const layers = Object.values(services).flatMap((parts) => parts.layers);
  return { layers, manifest, manifestText, manifestSha256: sha256Hex(manifestText) };
}

/** The same release with shared memory between its services. */
export function withChannels(
  release: ServiceRelease,
  channels: NonNullable<Manifest['channels']>,
): ServiceRelease {
  const manifest = { ...release.manifest, channels };
  const manifestText = JSON.stringify(manifest);
  return { ...release, manifest, manifestText, manifestSha256: sha256Hex(manifestText) };
}

function service({
  layers,
  args = WILLING,
  restart,
  graceMs = 5_000,
  cpuMax = 0.5,
  update,
}: ServiceParts): ManifestService {
  const image = {
    manifestDigest: sha256Hex('image'),
    layers: layers.map(({ verity, size }) => ({ verity, size, diffId: sha256Hex(verity) })),
    args,
    environment: { PATH: '/bin' },
    workingDir: '/',
    uid: 1000,
    gid: 1000,
  };
  return {
    images: { 'linux/amd64': image, 'linux/arm64': image },
    resources: { memoryMaxBytes: 16 * 1024 * 1024, cpuMax, pidsMax: 16 },
    restart: {
      policy: 'always',
      backoffInitialMs: 100,
      backoffMaxMs: 1_000,
      maxAttempts: 3,
      resetAfterMs: 10_000,
      ...restart,
    },
    stop: { signal: 'SIGTERM', graceMs },
    network: 'none',
    security: { readOnlyRoot: true, capabilities: [] },
    mounts: [],
    ...(update && { update }),
  };
}

/** The signer's machine: uploads what a release is made of and publishes it under signed targets. */
export class Publisher {
  readonly #fleet: TestFleet;
  readonly signer: Signer;
  /** Of the newest targets metadata, the signer's or a forger's. */
  targetsVersion = 0;

  constructor(fleet: TestFleet, signer: Signer) {
    this.#fleet = fleet;
    this.signer = signer;
  }

  async upload({ layers, manifestText, manifestSha256 }: ServiceRelease): Promise<void> {
    for (const { verity, path } of layers) {
      if ((await this.#fleet.api('HEAD', `/objects/${blobObject(verity)}`)).status === 200) continue;
      await this.#fleet.api('PUT', `/objects/${blobObject(verity)}`, readFileSync(path));
    }
    await this.#fleet.api('PUT', `/objects/${manifestObject(manifestSha256)}`, Buffer.from(manifestText));
  }

  /** Resolves with the release's id on the server. */
  async publish(release: ServiceRelease): Promise<string> {
    await this.upload(release);
    const signed = signRelease(this.signer, release, ++this.targetsVersion);
    const { status, body } = await this.#fleet.api('POST', '/releases', signed);
    if (status >= 300) throw new Error(`Cannot publish ${release.manifest.version}: ${JSON.stringify(body)}`);
    return body.id;
  }
}
