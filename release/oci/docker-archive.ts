import { access, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { Platform } from '../../protocol/manifest.ts';
import type { Compression } from '../core/media-types.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { runTool } from '../tools.ts';
import { DOCUMENT_BYTES, hexOf } from './blobs.ts';
import { decompressed } from './decompressed.ts';
import { checkDockerArchive, checkImageConfig } from './documents.ts';
import type { Image, ImageArchive } from './image.ts';
import { OciLayout, parseJson, platformOf } from './layout.ts';
import { openRegular, readRegular, readStored } from './regular-file.ts';

/**
 * What `docker save` writes. Since Docker 25 the tar is an OCI image layout too, and is read as one; older ones
 * have only manifest.json and the layers' tars, whose diffIDs are all there is to check them by.
 */
export async function openDockerArchive(
  file: string,
  tag: string | undefined,
  name: string,
  tempDir: string,
): Promise<ImageArchive> {
  const dir = await mkdtemp(join(tempDir, 'docker-archive-'));
  const close = () => rm(dir, { recursive: true, force: true });
  try {
    await refuseCompressed(file, name);
    const result = await runTool('tar', ['-x', '--no-same-owner', '-f', file, '-C', dir]);
    if (result.code !== 0)
      throw new ReleaseError('image', `Cannot read image ${name}: ${result.stderr.trim().split('\n')[0]}`);
    await keepInside(dir);
    const isLayout = await access(join(dir, 'index.json')).then(
      () => true,
      () => false,
    );
    if (!isLayout) return new LegacyArchive(dir, tag, name, close);
    const layout = new OciLayout(dir, tag, name);
    return { image: (platform) => layout.image(platform), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** tar would undo any compression by itself, and a small file can hold more than any disk. */
async function refuseCompressed(file: string, name: string): Promise<void> {
  const kind = await compressionOf(file).catch((cause: unknown) => {
    throw new ReleaseError('image', `Cannot read image ${name}: ${messageOf(cause)}`, { cause });
  });
  if (kind !== 'none')
    throw new ReleaseError(
      'image-refused',
      `Cannot take image ${name}: the archive itself is compressed; decompress it first`,
    );
}

/** Removes links that lead out of an unpacked archive, and what is neither a file nor a folder: nobody reads them. */
async function keepInside(dir: string): Promise<void> {
  const root = await realpath(dir);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    const leadsTo = entry.isSymbolicLink() ? await realpath(path).catch(() => undefined) : undefined;
    if (!leadsTo?.startsWith(root + sep)) await rm(path, { force: true });
  }
}

class LegacyArchive implements ImageArchive {
  readonly #dir: string;
  readonly #tag: string | undefined;
  readonly #name: string;
  readonly close: () => Promise<void>;
  constructor(dir: string, tag: string | undefined, name: string, close: () => Promise<void>) {
    this.#dir = dir;
    this.#tag = tag;
    this.#name = name;
    this.close = close;
  }

  async image(platform: Platform): Promise<Image> {
    const entry = await this.#entry();
    const path = await this.#inside(entry.Config);
    const data = await this.#document(path, entry.Config);
    const config = checkImageConfig(parseJson(data.toString('utf8')));
    if (!config.ok) return this.#refuse(`${entry.Config}: ${config.faults.join('; ')}`);
    if (platformOf(config.value) !== platform)
      return this.#refuse(`it has no ${platform}; it has ${platformOf(config.value)}`);
    const diffIds = config.value.rootfs.diff_ids;
    if (entry.Layers.length === 0 || diffIds.length !== entry.Layers.length)
      return this.#refuse(`it has ${entry.Layers.length} layers and ${diffIds.length} diffIDs`);
    const files = await Promise.all(entry.Layers.map((layer) => this.#inside(layer)));
    const layers = files.map((file, index) => ({
      diffId: hexOf(diffIds[index] ?? ''),
      open: () => openLayer(file, this.#name),
    }));
    return { digest: sha256Hex(data), config: config.value, layers };
  }

  async #entry() {
    const path = join(this.#dir, 'manifest.json');
    await access(path).catch((cause: unknown) =>
      this.#refuse('it holds neither index.json nor manifest.json; wanted what `docker save` writes', cause),
    );
    const text = await this.#document(path, 'manifest.json');
    const checked = checkDockerArchive(parseJson(text.toString('utf8')));
    if (!checked.ok) return this.#refuse(`manifest.json: ${checked.faults.join('; ')}`);
    const entries = checked.value.filter(
      ({ RepoTags }) =>
        this.#tag === undefined || (RepoTags ?? []).some((full) => isTag(full, this.#tag ?? '')),
    );
    const [only] = entries;
    if (only && entries.length === 1) return only;
    const tags = checked.value.flatMap(({ RepoTags }) => RepoTags ?? []).join(', ') || 'none';
    return this.#refuse(
      only
        ? `it holds several images; name one of its tags: ${tags}`
        : `it has no tag "${this.#tag}"; tags: ${tags}`,
    );
  }

  #document(path: string, name: string): Promise<Buffer> {
    return readRegular(path, DOCUMENT_BYTES).catch((cause: unknown) =>
      this.#refuse(`${name}: ${messageOf(cause)}`, cause),
    );
  }

  /** A path of the archive, links followed, that must not leave it. */
  async #inside(path: string): Promise<string> {
    const root = await realpath(this.#dir);
    const real = await realpath(join(root, path)).catch((cause: unknown) =>
      this.#refuse(`${path}: ${messageOf(cause)}`, cause),
    );
    return real.startsWith(root + sep) ? real : this.#refuse(`${path} leads out of the archive`);
  }

  #refuse(what: string, cause?: unknown): never {
    throw new ReleaseError('image-refused', `Cannot take image ${this.#name}: ${what}`, { cause });
  }
}

const isTag = (full: string, tag: string): boolean => full === tag || full.endsWith(`:${tag}`);

async function* openLayer(file: string, name: string): AsyncGenerator<Uint8Array> {
  yield* decompressed(readStored(file), await compressionOf(file), `a layer of image ${name}`);
}

/** Old archives name no media type; the magic number tells. */
async function compressionOf(file: string): Promise<Compression> {
  const handle = await openRegular(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.readUInt16BE(0) === 0x1f8b) return 'gzip';
    return buffer.readUInt32BE(0) === 0x28b52ffd ? 'zstd' : 'none';
  } finally {
    await handle.close();
  }
}
