import { createReadStream } from 'node:fs';
import { copyFile, type FileHandle, link, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verityOf } from '../../protocol/fsverity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ManifestLayer } from '../../protocol/manifest.ts';
import { type LayerTree, layerTree } from '../core/layer-tree.ts';
import { writeErofs } from '../erofs/write.ts';
import { ReleaseError } from '../errors.ts';
import { digesting, isErrno, readIfPresent, writeDurably } from '../files.ts';
import type { ImageLayer } from '../oci/image.ts';
import { type LayerAccounts, readAccounts } from './accounts.ts';
import { scanTar } from './tar-read.ts';

/** Part of a cached conversion's name: raise it when the same tar would give another blob. */
const CONVERTER = 'v2';

export interface ConvertedLayer extends ManifestLayer, LayerAccounts {
  /** Names of xattrs that were not taken. */
  leftOut: string[];
}

/** Conversions by diffID in a folder: `<diffId>.<version>.json` beside `<verity>.erofs`. */
export class LayerCache {
  readonly #dir: string;
  constructor(dir: string) {
    this.#dir = dir;
  }

  blobPath(verity: string): string {
    return join(this.#dir, `${verity}.erofs`);
  }

  /** The layer as an uncompressed EROFS blob in the cache; converted only when it is not there yet. */
  async convert(layer: ImageLayer): Promise<ConvertedLayer & { isNew: boolean }> {
    const record = join(this.#dir, `${layer.diffId}.${CONVERTER}.json`);
    const known = await readIfPresent(record);
    if (known) {
      const found = JSON.parse(known.toString('utf8')) as ConvertedLayer;
      const size = await stat(this.blobPath(found.verity)).then(
        (stats) => stats.size,
        () => undefined,
      );
      if (size === found.size) return { ...found, isNew: false };
    }
    await mkdir(this.#dir, { recursive: true });
    const work = await mkdtemp(join(this.#dir, 'layer-'));
    try {
      const converted = await this.#convertIn(work, layer);
      await writeDurably(record, JSON.stringify(converted));
      return { ...converted, isNew: true };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #convertIn(work: string, layer: ImageLayer): Promise<ConvertedLayer> {
    const name = layer.diffId.slice(0, 12);
    const [tarFile, blob] = [join(work, 'layer.tar'), join(work, 'layer.erofs')];
    await spool(layer, tarFile, name);
    const tar = await open(tarFile);
    try {
      const tree = await readTree(tar, name);
      await writeBlob(tar, tree, blob, name);
      const { digest, bytes } = await verityOf(createReadStream(blob, { highWaterMark: 1024 * 1024 }));
      await rename(blob, this.blobPath(digest));
      const accounts = await readAccounts(tree.root, (at, length) => readAt(tar, at, length));
      return { verity: digest, size: bytes, diffId: layer.diffId, leftOut: tree.leftOut, ...accounts };
    } finally {
      await tar.close();
    }
  }
}

/** Nothing is made of a tar before all of it is known to be what the image's config says. */
async function spool(layer: ImageLayer, file: string, name: string): Promise<void> {
  let sha256 = '';
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(digesting(bounded(layer.open(), name), (digest) => (sha256 = digest)));
  } finally {
    await handle.close();
  }
  if (sha256 !== layer.diffId)
    throw new ReleaseError(
      'image-digest',
      `Cannot trust layer ${name}: its tar has sha256 ${sha256.slice(0, 12)}; wanted its diffID`,
    );
}

/** A small compressed layer may hold more than any disk. */
async function* bounded(tar: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const data of tar) {
    bytes += data.length;
    if (bytes > LIMITS.blobBytes) throw refused(name, `its tar has more than ${LIMITS.blobBytes} bytes`);
    yield data;
  }
}

async function readTree(tar: FileHandle, name: string): Promise<LayerTree> {
  const scanned = await scanTar(tar);
  if (!scanned.ok) throw refused(name, scanned.fault);
  const tree = layerTree(scanned.entries);
  if (!tree.ok) throw refused(name, tree.fault);
  return tree;
}

async function writeBlob(tar: FileHandle, { root }: LayerTree, file: string, name: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    const { sizeBytes, chunks } = writeErofs(root, (at, bytes) => readAt(tar, at, bytes));
    if (sizeBytes > LIMITS.blobBytes)
      throw refused(name, `it holds ${sizeBytes} bytes; wanted at most ${LIMITS.blobBytes}`);
    await handle.writeFile(chunks());
  } catch (error) {
    throw error instanceof RangeError ? refused(name, `something in it ${error.message}`) : error;
  } finally {
    await handle.close();
  }
}

async function readAt(handle: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(bytes), 0, bytes, at);
  return buffer.subarray(0, bytesRead);
}

/** Hard link where the two folders share a file system, copy elsewhere. A blob that is there already is kept. */
export async function placeBlob(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await link(from, to);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    if (!isErrno(error, 'EXDEV')) throw error;
    await copyFile(from, `${to}.partial`);
    await rename(`${to}.partial`, to);
  }
}

const refused = (name: string, what: string): ReleaseError =>
  new ReleaseError('image-refused', `Cannot take layer ${name}: ${what}`);
