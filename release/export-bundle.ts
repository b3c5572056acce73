import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BUNDLE_FILE, type Bundle } from '../protocol/bundle.ts';
import { sha256Hex } from '../protocol/canonical.ts';
import { syncFolder } from '../protocol/durable-file.ts';
import { leafCount } from '../protocol/fsverity.ts';
import {
  blobsIn,
  checkManifest,
  layersIn,
  type Manifest,
  type ManifestBlob,
  type Platform,
} from '../protocol/manifest.ts';
import { blobObject, isObjectName, leavesObject, manifestObject } from '../protocol/objects.ts';
import { ReleaseError } from './errors.ts';
import { writeDurably } from './files.ts';
import { parseJson } from './oci/layout.ts';
import type { ReleaseServer } from './server.ts';

export interface ExportOptions {
  server: ReleaseServer;
  name: string;
  version: string;
  /** Folder; made when it is not there. What it holds already of the release is not fetched again. */
  to: string;
  days: number;
  /** Only blobs for these; all that the release has when empty. */
  platforms: readonly Platform[];
  /** Releases that every receiver holds: their blobs are left out. */
  against: readonly { name: string; version: string }[];
  now: number;
  onProgress?: (object: string, sizeBytes: number, done: number, total: number) => void;
}

export interface ExportResult {
  release: Bundle['release'];
  folder: string;
  /** Unix ms. */
  expiresAt: number;
  blobs: number;
  blobBytes: number;
  /** Of blobs that were left out. */
  savedBytes: number;
}

/** Writes an offline bundle. Its table of contents comes last: a folder without it is not finished. */
export async function exportBundle(options: ExportOptions): Promise<ExportResult> {
  const { server, name, version, to, days, against, now } = options;
  const { id, manifestSha256 } = await server.findRelease(name, version);
  await mkdir(to, { recursive: true });
  const { text, manifest } = await readRelease(server, name, version, manifestSha256);
  const wanted = layersFor(manifest, options.platforms);
  const held = new Set<string>();
  for (const older of against) {
    const found = await server.findRelease(older.name, older.version);
    const release = await readRelease(server, older.name, older.version, found.manifestSha256);
    for (const { verity } of layersFor(release.manifest, [])) held.add(verity);
  }
  const layers = wanted.filter(({ verity }) => !held.has(verity));
  await writeDurably(join(to, manifestObject(manifestSha256)), text);
  await fetchLayers(layers, options);
  // Signed last: the download may have taken long.
  const { files, expiresAt } = await server.bundleMetadata(id, days);
  for (const [object, content] of Object.entries(files)) {
    if (!isObjectName(object))
      throw new ReleaseError('server', `Cannot export: "${object}" is no object's name`);
    await writeDurably(join(to, object), content);
  }
  const release = { name, version, manifest: manifestSha256 };
  const left = against.map((older) => `${older.name} ${older.version}`);
  const bundle: Bundle = { v: 1, release, madeAt: now, expiresAt, ...(left.length > 0 && { against: left }) };
  await writeDurably(join(to, BUNDLE_FILE), `${JSON.stringify(bundle, null, 1)}\n`);
  const blobBytes = bytesOf(layers);
  const savedBytes = bytesOf(wanted) - blobBytes;
  return { release, folder: to, expiresAt, blobs: layers.length, blobBytes, savedBytes };
}

async function readRelease(
  server: ReleaseServer,
  name: string,
  version: string,
  sha256: string,
): Promise<{ text: string; manifest: Manifest }> {
  const text = await new Response(await server.getObject(manifestObject(sha256), 0)).text();
  const checked = checkManifest(parseJson(text));
  if (sha256Hex(text) !== sha256 || !checked.ok)
    throw new ReleaseError(
      'server',
      `Cannot export ${name} ${version}: the server's manifest is not the one it names`,
    );
  return { text, manifest: checked.value };
}

/** Each blob once; the system goes along whole, since it says by board what is whose. */
function layersFor(manifest: Manifest, platforms: readonly Platform[]): ManifestBlob[] {
  const { services, agent } = manifest;
  const named = Object.entries(services).map(([name, held]) => [`service "${name}"`, held] as const);
  for (const [what, { images }] of [...named, ...(agent ? [['its agent', agent] as const] : [])]) {
    const lacking = platforms.find((platform) => images[platform] === undefined);
    if (lacking !== undefined)
      throw new ReleaseError('usage', `Cannot export: ${what} has no image for ${lacking}`);
  }
  const layers =
    platforms.length === 0
      ? blobsIn(manifest)
      : [...platforms.flatMap((platform) => layersIn(manifest, platform)), ...systemsIn(manifest)];
  return [...new Map(layers.map((layer) => [layer.verity, layer])).values()];
}

const systemsIn = ({ system }: Manifest): ManifestBlob[] =>
  Object.values(system?.boards ?? {}).flatMap(({ boot, root }) => [boot, root]);

async function fetchLayers(layers: readonly ManifestBlob[], options: ExportOptions): Promise<void> {
  const { server, to, onProgress } = options;
  for (const [index, { verity, size }] of layers.entries()) {
    await fetchObject(server, to, leavesObject(verity), leafCount(size) * 32);
    await fetchObject(server, to, blobObject(verity), size);
    onProgress?.(blobObject(verity), size, index + 1, layers.length);
  }
}

/** An object that was cut goes on where it was; the device checks each piece of it anyway. */
async function fetchObject(server: ReleaseServer, to: string, object: string, bytes: number): Promise<void> {
  const path = join(to, object);
  if ((await sizeOf(path)) === bytes) return;
  const part = `${path}.part`;
  const have = (await sizeOf(part)) ?? 0;
  const at = have <= bytes ? have : 0;
  if (at < bytes) {
    const content = Readable.fromWeb(
      (await server.getObject(object, at)) as Parameters<typeof Readable.fromWeb>[0],
    );
    await pipeline(content, createWriteStream(part, { flags: at > 0 ? 'a' : 'w', flush: true }));
  }
  const got = await sizeOf(part);
  if (got !== bytes)
    throw new ReleaseError(
      'server',
      `Cannot export: ${object} has ${got ?? 0} bytes instead of ${bytes}; try again`,
    );
  await rename(part, path);
  await syncFolder(to);
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );

const bytesOf = (layers: readonly ManifestBlob[]): number => layers.reduce((sum, { size }) => sum + size, 0);
