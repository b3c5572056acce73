import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verityOf } from '../../protocol/fsverity.ts';
import type { ManifestLayer } from '../../protocol/manifest.ts';
import { ReleaseError } from '../errors.ts';
import { digesting, isErrno, readIfPresent, writeDurably } from '../files.ts';
import type { ImageLayer } from '../oci/image.ts';
import { runTool } from '../tools.ts';
import { type LayerAccounts, unpackLayer } from './unpack.ts';

/** Part of a cached conversion's name: raise it when the same tar would give another blob. */
const CONVERTER = 'v1';
/** One UUID and one build time for all blobs: the bytes depend on the layer alone. 2100-01-01, above any file's time. */
const UUID = '77686572-7279-4000-8000-000000000000';
const BUILD_TIME = '4102444800';

export interface ConvertedLayer extends ManifestLayer, LayerAccounts {}

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
    const [tarFile, root, blob] = [join(work, 'layer.tar'), join(work, 'root'), join(work, 'layer.erofs')];
    await spool(layer, tarFile, name);
    await mkdir(root);
    const accounts = await unpackLayer(tarFile, root, name);
    await rm(tarFile);
    await makeErofs(root, blob);
    const { digest, bytes } = await verityOf(createReadStream(blob, { highWaterMark: 1024 * 1024 }));
    await rename(blob, this.blobPath(digest));
    return { verity: digest, size: bytes, diffId: layer.diffId, ...accounts };
  }
}

/** Nothing is unpacked before all of the tar is known to be what the image's config says. */
async function spool(layer: ImageLayer, file: string, name: string): Promise<void> {
  let sha256 = '';
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(digesting(layer.open(), (digest) => (sha256 = digest)));
  } finally {
    await handle.close();
  }
  if (sha256 !== layer.diffId)
    throw new ReleaseError(
      'image-digest',
      `Cannot trust layer ${name}: its tar has sha256 ${sha256.slice(0, 12)}; wanted its diffID`,
    );
}

async function makeErofs(root: string, blob: string): Promise<void> {
  // With SOURCE_DATE_EPOCH mkfs.erofs keeps the files' own times and fixes only its own; -T would flatten them all.
  const result = await runTool('mkfs.erofs', ['--quiet', '-U', UUID, blob, root], {
    env: { SOURCE_DATE_EPOCH: BUILD_TIME },
  });
  if (result.code !== 0)
    throw new ReleaseError('tool', `Cannot make an EROFS blob: mkfs.erofs: ${result.stderr.trim()}`);
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
