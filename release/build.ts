import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { admissionTable, admit } from '../protocol/admission.ts';
import type { Board } from '../protocol/board.ts';
import { canonicalJson, sha256Hex } from '../protocol/canonical.ts';
import { LIMITS } from '../protocol/limits.ts';
import {
  blobsIn,
  checkManifest,
  type Manifest,
  type ManifestAgent,
  type ManifestService,
  type Platform,
} from '../protocol/manifest.ts';
import type { ReleaseSource } from '../protocol/release-source.ts';
import { loadBoards } from './boards.ts';
import type { Accounts } from './core/accounts.ts';
import { crossCheck } from './core/cross-check.ts';
import { type ConvertedImage, resolveImage, type SourceService } from './core/resolve.ts';
import { resolveChannels, resolveNetworks, resolveVolumes } from './core/resolve-resources.ts';
import { DEFAULTS, durationOf, resolveService } from './core/resolve-service.ts';
import { ReleaseError } from './errors.ts';
import { writeDurably } from './files.ts';
import { type ConvertedLayer, LayerCache } from './layer/convert.ts';
import { placeBlob } from './layer/place-blob.ts';
import type { Image, ImageArchive, ImageLayer } from './oci/image.ts';
import { openImage } from './oci/reference.ts';
import { readSource } from './source.ts';
import { buildSystem } from './system-blobs.ts';
import { moduleLayer } from './wasm/module-layer.ts';

export interface BuildOptions {
  /** release.yaml; image references are relative to its folder. */
  sourceFile: string;
  /** The release folder: manifest.json and blobs/<verity>.erofs. */
  outDir: string;
  boardsDir: string;
  /** Converted layers, shared between builds. Default: <outDir>/.cache. */
  cacheDir?: string;
  onProgress?: (event: BuildEvent) => void;
}

export type BuildEvent =
  | { kind: 'layer'; service: string; platform: Platform; diffId: string; sizeBytes: number; isNew: boolean }
  | { kind: 'note'; service: string; platform: Platform; message: string };

export interface BuildResult {
  manifest: Manifest;
  manifestSha256: string;
  /** Blobs of all platforms, each once. */
  blobs: { verity: string; sizeBytes: number }[];
  notes: string[];
}

interface Context {
  baseDir: string;
  tempDir: string;
  cache: LayerCache;
  onProgress: (event: BuildEvent) => void;
}

/** Turns release.yaml and its images into a release folder. Throws ReleaseError; nothing is written then but the cache. */
export async function buildRelease(options: BuildOptions): Promise<BuildResult> {
  const source = await readSource(options.sourceFile);
  const boards = new Map((await loadBoards(options.boardsDir)).map((board) => [board.name, board]));
  const faults = crossCheck(source, boards);
  if (faults.length > 0)
    throw new ReleaseError(
      'source',
      `Cannot build release ${source.name} ${source.version}:${faults.map((fault) => `\n  ${fault}`).join('')}`,
    );
  const selected = source.boards.map((name) => boards.get(name)).filter((board) => board !== undefined);
  const cacheDir = resolve(options.cacheDir ?? join(options.outDir, '.cache'));
  await mkdir(cacheDir, { recursive: true });
  const tempDir = await mkdtemp(join(cacheDir, 'build-'));
  const notes: string[] = [];
  const onProgress = (event: BuildEvent) => {
    if (event.kind === 'note') notes.push(`services.${event.service} (${event.platform}): ${event.message}`);
    options.onProgress?.(event);
  };
  try {
    const cache = new LayerCache(cacheDir);
    const context = { baseDir: dirname(resolve(options.sourceFile)), tempDir, cache, onProgress };
    const manifest = await assemble(source, selected, context);
    for (const board of selected) refuseUnlessFits(manifest, board);
    return { ...(await write(manifest, options.outDir, cache)), notes };
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

async function assemble(source: ReleaseSource, boards: Board[], context: Context): Promise<Manifest> {
  const platforms = [...new Set(boards.map((board) => board.platform))].sort();
  const services: [string, ManifestService][] = [];
  for (const [name, service] of Object.entries(source.services))
    services.push([name, await buildService(name, service, platforms, context)]);
  const agent = source.agent && (await buildAgent(source.agent, platforms, context));
  const { baseDir, tempDir, cache } = context;
  const blobPath = (verity: string): string => cache.blobPath(verity);
  const system = source.system && (await buildSystem(source.system, { baseDir, tempDir, blobPath }));
  const networks = resolveNetworks(source.networks);
  const channels = resolveChannels(source.channels);
  const manifest = {
    v: 1,
    name: source.name,
    version: source.version,
    ...(source.description !== undefined && { description: source.description }),
    boards: [...source.boards].sort(),
    services: Object.fromEntries(services),
    ...(agent && { agent }),
    ...(system && { system }),
    volumes: resolveVolumes(source.volumes),
    ...(networks !== undefined && { networks }),
    ...(channels !== undefined && { channels }),
    policy: { soakMs: durationOf(source.policy?.soak, DEFAULTS.soakMs) },
  };
  const checked = checkManifest(manifest);
  if (!checked.ok)
    throw new ReleaseError(
      'source',
      `Cannot build release ${source.name} ${source.version}: ${checked.faults.join('; ')}`,
    );
  return checked.value;
}

async function buildService(
  name: string,
  service: SourceService,
  platforms: Platform[],
  context: Context,
): Promise<ManifestService> {
  const above = service.wasm === undefined ? [] : [await moduleLayer(name, service.wasm, context.baseDir)];
  const archive = await openImage(service.image, context.baseDir, context.tempDir);
  try {
    const images: ManifestService['images'] = {};
    let stopSignal: string | undefined;
    for (const platform of platforms) {
      const image = await archiveImage(archive, name, platform, above);
      const converted = await convertImage(name, platform, image, context);
      const resolved = resolveImage(service, converted);
      if (!resolved.ok)
        throw new ReleaseError('policy', `Cannot build service "${name}" for ${platform}: ${resolved.fault}`);
      for (const message of resolved.notes)
        context.onProgress({ kind: 'note', service: name, platform, message });
      images[platform] = resolved.value;
      stopSignal ??= signalName(name, image.config.config?.StopSignal);
    }
    return resolveService(service, images, stopSignal);
  } finally {
    await archive.close();
  }
}

/** The agent's image is files only: what its configuration says of commands and users means nothing. */
async function buildAgent(
  { image, version }: NonNullable<ReleaseSource['agent']>,
  platforms: Platform[],
  context: Context,
): Promise<ManifestAgent> {
  const archive = await openImage(image, context.baseDir, context.tempDir);
  try {
    const images: ManifestAgent['images'] = {};
    for (const platform of platforms) {
      const found = await archiveImage(archive, 'agent', platform, []);
      const { digest, layers } = await convertImage('agent', platform, found, context);
      images[platform] = { manifestDigest: digest, layers };
    }
    return { version, images };
  } finally {
    await archive.close();
  }
}

/** `above`: layers that the service lays over those of its image. */
async function archiveImage(
  archive: ImageArchive,
  service: string,
  platform: Platform,
  above: ImageLayer[],
): Promise<Image> {
  const found = await archive.image(platform);
  const image = { ...found, layers: [...found.layers, ...above] };
  if (image.layers.length > LIMITS.layersPerImage)
    throw new ReleaseError(
      'image-refused',
      `Cannot take the image of service "${service}": it has ${image.layers.length} layers; wanted at most ${LIMITS.layersPerImage}`,
    );
  return image;
}

async function convertImage(
  service: string,
  platform: Platform,
  image: Image,
  { cache, onProgress }: Context,
): Promise<ConvertedImage> {
  const layers: ConvertedLayer[] = [];
  for (const layer of image.layers) {
    const { isNew, ...converted } = await cache.convert(layer, layers);
    layers.push(converted);
    if (converted.leftOut.length > 0) {
      const message = `layer ${layer.diffId.slice(0, 12)} is taken without its xattrs ${converted.leftOut.join(', ')}`;
      onProgress({ kind: 'note', service, platform, message });
    }
    onProgress({ kind: 'layer', service, platform, diffId: layer.diffId, sizeBytes: converted.size, isNew });
  }
  const config = image.config.config ?? {};
  return {
    digest: image.digest,
    layers: layers.map(({ verity, size, diffId }) => ({ verity, size, diffId })),
    accounts: accountsOf(layers),
    config: {
      entrypoint: config.Entrypoint ?? [],
      command: config.Cmd ?? [],
      environment: config.Env ?? [],
      workingDir: config.WorkingDir || '/',
      user: config.User ?? '',
    },
  };
}

/** The highest layer that says something of an account file decides. */
const accountsOf = (layers: ConvertedLayer[]): Accounts => ({
  passwd: layers.findLast((layer) => layer.passwd !== null)?.passwd ?? '',
  group: layers.findLast((layer) => layer.group !== null)?.group ?? '',
});

/** StopSignal may be a number or lack its "SIG". */
function signalName(service: string, wish: string | undefined): string | undefined {
  if (!wish) return undefined;
  const byNumber = Object.entries(constants.signals).find(([, number]) => String(number) === wish)?.[0];
  const name = byNumber ?? (wish.startsWith('SIG') ? wish : `SIG${wish}`);
  if (name in constants.signals) return name;
  throw new ReleaseError(
    'image-refused',
    `Cannot take the image of service "${service}": its stop signal is "${wish}"; set stop.signal`,
  );
}

function refuseUnlessFits(manifest: Manifest, board: Board): void {
  const admission = admit(manifest, board);
  if (admission.fits) return;
  throw new ReleaseError(
    'does-not-fit',
    `Cannot build release ${manifest.name} ${manifest.version}: it does not fit board ${board.name}; lower a budget or leave the board out\n${admissionTable(admission)}`,
  );
}

async function write(
  manifest: Manifest,
  outDir: string,
  cache: LayerCache,
): Promise<Omit<BuildResult, 'notes'>> {
  const text = canonicalJson(manifest);
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.manifestBytes)
    throw new ReleaseError(
      'source',
      `Cannot build release ${manifest.name} ${manifest.version}: its manifest has ${bytes} bytes; wanted at most ${LIMITS.manifestBytes}`,
    );
  const blobs = blobsOf(manifest);
  const folder = join(outDir, 'blobs');
  for (const { verity } of blobs) await placeBlob(cache.blobPath(verity), join(folder, `${verity}.erofs`));
  const wanted = new Set(blobs.map(({ verity }) => `${verity}.erofs`));
  for (const file of await readdir(folder)) if (!wanted.has(file)) await rm(join(folder, file));
  await writeDurably(join(outDir, 'manifest.json'), text);
  return { manifest, manifestSha256: sha256Hex(text), blobs };
}

/** Every blob a release names, each once, in order of digest. */
export function blobsOf(manifest: Manifest): { verity: string; sizeBytes: number }[] {
  const sizes = new Map(blobsIn(manifest).map(({ verity, size }) => [verity, size]));
  return [...sizes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([verity, sizeBytes]) => ({ verity, sizeBytes }));
}
