import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { verityOf } from '../protocol/fsverity.ts';
import { type ManifestImage, type ManifestService, PLATFORMS, type Platform } from '../protocol/manifest.ts';
import { readAtOf, windowed } from './erofs/content.ts';
import { readErofs } from './erofs/read.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { blobPath, readManifest } from './folder.ts';
import { tarOf } from './layer/tar-tree.ts';
import { LayoutWriter, type Stored } from './oci/layout-writer.ts';

const OCI = 'application/vnd.oci.image';
const REF_NAME = 'org.opencontainers.image.ref.name';

export interface ExportedImage {
  /** What to name it by in the layout. */
  ref: string;
  platforms: Platform[];
  digest: string;
}

export interface ExportOptions {
  /** A release folder. */
  dir: string;
  /** The image layout: a new or empty folder. */
  to: string;
  /** Only this service. */
  service?: string;
  onProgress?: (event: { verity: string; sizeBytes: number }) => void;
}

interface Export {
  dir: string;
  layout: LayoutWriter;
  /** Layers that stand in the layout, by the verity of their blob. */
  layers: Map<string, Stored>;
  onProgress: NonNullable<ExportOptions['onProgress']>;
}

type HeldImage = Pick<ManifestImage, 'layers' | 'manifestDigest'> & { config?: object };
interface Holder {
  images: Partial<Record<Platform, HeldImage>>;
}

/** No service can have this name. */
const AGENT_REF = '_agent';

/**
 * The images of a release folder as an OCI image layout, each service an image of its name and the agent that the
 * release brings as `_agent`: the same files, and of the configuration what the manifest keeps. Built again they give the same blobs.
 */
export async function exportImages(options: ExportOptions): Promise<ExportedImage[]> {
  const { manifest } = await readManifest(options.dir);
  const services = Object.entries(manifest.services).filter(
    ([name]) => options.service === undefined || options.service === name,
  );
  if (services.length === 0)
    throw new ReleaseError(
      'folder',
      `Cannot export service "${options.service}": ${manifest.name} ${manifest.version} has ${Object.keys(manifest.services).join(', ')}`,
    );
  const { dir, to, onProgress = () => undefined } = options;
  const context: Export = { dir, layout: await LayoutWriter.create(to), layers: new Map(), onProgress };
  const entries: Stored[] = [];
  const exported: ExportedImage[] = [];
  const holders: [string, Holder][] = services.map(([name, service]) => [name, configured(service)]);
  if (manifest.agent && options.service === undefined)
    holders.push([AGENT_REF, { images: manifest.agent.images }]);
  for (const [name, holder] of holders) {
    const { refs, platforms, digest } = await exportHolder(name, holder, context);
    entries.push(...refs);
    exported.push({ ref: name, platforms, digest });
  }
  await context.layout.finish(entries);
  return exported;
}

/** An index of its platforms; beside it each platform by itself, for tools that want one manifest. */
async function exportHolder(
  name: string,
  holder: Holder,
  context: Export,
): Promise<{ refs: Stored[]; platforms: Platform[]; digest: string }> {
  const manifests: Stored[] = [];
  const platforms = PLATFORMS.filter((platform) => holder.images[platform]);
  for (const platform of platforms) {
    const image = holder.images[platform];
    if (image) manifests.push(await exportImage(image, platform, context));
  }
  const single = manifests.length === 1 ? manifests[0] : undefined;
  const whole =
    single ?? (await context.layout.document(`${OCI}.index.v1+json`, { schemaVersion: 2, manifests }));
  const alone = single
    ? []
    : manifests.map((entry, index) => named(entry, `${name}-${platforms[index]?.replace('/', '-')}`));
  return { refs: [named(whole, name), ...alone], platforms, digest: whole.digest };
}

/** What the manifest keeps of a service's configuration, its own words merged in. */
const configured = ({ images, stop }: ManifestService): Holder => ({
  images: Object.fromEntries(
    Object.entries(images).map(([platform, image]) => [
      platform,
      image && { ...image, config: configOf(image, stop.signal) },
    ]),
  ),
});

const configOf = (
  { args, environment, uid, gid, workingDir }: ManifestImage,
  stopSignal: string,
): object => ({
  Entrypoint: args,
  Env: Object.entries(environment).map(([key, value]) => `${key}=${value}`),
  User: `${uid}:${gid}`,
  WorkingDir: workingDir,
  StopSignal: stopSignal,
});

const named = (entry: Stored, ref: string): Stored => ({
  ...entry,
  annotations: { ...entry.annotations, [REF_NAME]: ref },
});

async function exportImage(image: HeldImage, platform: Platform, context: Export): Promise<Stored> {
  const layers: Stored[] = [];
  for (const { verity, size } of image.layers) layers.push(await exportLayer(verity, size, context));
  const [os = '', architecture = ''] = platform.split('/');
  const config = await context.layout.document(`${OCI}.config.v1+json`, {
    os,
    architecture,
    ...(image.config && { config: image.config }),
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = await context.layout.document(`${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config,
    layers,
    // What the release was built from.
    annotations: { 'wherry.manifest-digest': image.manifestDigest },
  });
  return { ...manifest, platform: { os, architecture } };
}

async function exportLayer(verity: string, sizeBytes: number, context: Export): Promise<Stored> {
  const known = context.layers.get(verity);
  if (known) return known;
  const refuse = (what: string, cause?: unknown): never => {
    throw new ReleaseError('folder', `Cannot export blob ${verity.slice(0, 12)}: ${what}`, { cause });
  };
  const path = blobPath(context.dir, verity);
  const handle = await open(path).catch((error: unknown) => refuse(messageOf(error), error));
  try {
    const { digest } = await verityOf(createReadStream(path, { highWaterMark: 1024 * 1024 }));
    if (digest !== verity) return refuse('it does not hold what its digest says');
    const root = await readErofs(windowed(handle));
    const stored = await context.layout.stream(`${OCI}.layer.v1.tar`, tarOf(root, readAtOf(handle)));
    context.layers.set(verity, stored);
    context.onProgress({ verity, sizeBytes });
    return stored;
  } catch (error) {
    if (error instanceof RangeError) return refuse(error.message, error);
    throw error;
  } finally {
    await handle.close();
  }
}
