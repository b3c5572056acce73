import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import { verityOf } from '../../protocol/fsverity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { ManifestLayer } from '../../protocol/manifest.ts';
import type { LayerNode } from '../core/layer-node.ts';
import { dependsOnBelow, mergeLayers, settle } from '../core/layer-stack.ts';
import { type LayerTree, layerTree } from '../core/layer-tree.ts';
import { readAtOf, windowed } from '../erofs/content.ts';
import { readBlobTree } from '../erofs/read-blob.ts';
import { writeErofs } from '../erofs/write.ts';
import { readIfPresent, writeDurably } from '../files.ts';
import type { ImageLayer } from '../oci/image.ts';
import { type LayerAccounts, readAccounts } from './accounts.ts';
import { refused, spool } from './spool.ts';
import { scanTar } from './tar-read.ts';

/** Part of a cached conversion's name: raise it when the same tar would give another blob. */
const CONVERTER = 'v3';

export interface ConvertedLayer extends ManifestLayer, LayerAccounts {
  /** Names of xattrs that were not taken. */
  leftOut: string[];
}

/**
 * Conversions in a folder: `<diffId>.<version>.json` beside `<verity>.erofs`; where what lies below has a say,
 * `<diffId>.<version>.<below>.json`.
 */
export class LayerCache {
  readonly #dir: string;
  readonly #stacks = new Map<string, LayerNode>();
  constructor(dir: string) {
    this.#dir = dir;
  }

  blobPath(verity: string): string {
    return join(this.#dir, `${verity}.erofs`);
  }

  /** The layer as an uncompressed EROFS blob in the cache; converted only when it is not there yet. `below`: lowest first. */
  async convert(
    layer: ImageLayer,
    below: readonly Pick<ManifestLayer, 'verity'>[] = [],
  ): Promise<ConvertedLayer & { isNew: boolean }> {
    const verities = below.map(({ verity }) => verity);
    const alone = join(this.#dir, `${layer.diffId}.${CONVERTER}.json`);
    const upon = join(
      this.#dir,
      `${layer.diffId}.${CONVERTER}.${sha256Hex(verities.join()).slice(0, 16)}.json`,
    );
    const known = (await this.#known(alone)) ?? (await this.#known(upon));
    if (known) return { ...known, isNew: false };
    await mkdir(this.#dir, { recursive: true });
    const work = await mkdtemp(join(this.#dir, 'layer-'));
    try {
      const { isUpon, ...converted } = await this.#convertIn(work, layer, verities);
      await writeDurably(isUpon ? upon : alone, JSON.stringify(converted));
      return { ...converted, isNew: true };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async #known(record: string): Promise<ConvertedLayer | undefined> {
    const text = await readIfPresent(record);
    if (!text) return undefined;
    const found = JSON.parse(text.toString('utf8')) as ConvertedLayer;
    const size = await stat(this.blobPath(found.verity)).then(
      (stats) => stats.size,
      () => undefined,
    );
    return size === found.size ? found : undefined;
  }

  async #convertIn(
    work: string,
    layer: ImageLayer,
    below: readonly string[],
  ): Promise<ConvertedLayer & { isUpon: boolean }> {
    const name = layer.diffId.slice(0, 12);
    const [tarFile, blob] = [join(work, 'layer.tar'), join(work, 'layer.erofs')];
    await spool(layer, tarFile, name);
    const tar = await open(tarFile);
    try {
      const tree = await readTree(tar, name);
      const isUpon = dependsOnBelow(tree);
      const fault = isUpon ? settle(tree, await this.#stack(below)) : undefined;
      if (fault !== undefined) throw refused(name, `it ${fault}`);
      await writeBlob(tar, tree, blob, name);
      const { digest, bytes } = await verityOf(createReadStream(blob, { highWaterMark: 1024 * 1024 }));
      await rename(blob, this.blobPath(digest));
      const accounts = await readAccounts(tree.root, readAtOf(tar));
      const { leftOut } = tree;
      return { verity: digest, size: bytes, diffId: layer.diffId, leftOut, ...accounts, isUpon };
    } finally {
      await tar.close();
    }
  }

  /** What the layers show together; undefined for none. */
  async #stack(verities: readonly string[]): Promise<LayerNode | undefined> {
    const last = verities.at(-1);
    if (last === undefined) return undefined;
    const key = verities.join();
    const known = this.#stacks.get(key);
    if (known) return known;
    const merged = mergeLayers(
      await this.#stack(verities.slice(0, -1)),
      await readBlobTree(this.blobPath(last)),
    );
    this.#stacks.set(key, merged);
    return merged;
  }
}

async function readTree(tar: FileHandle, name: string): Promise<LayerTree> {
  const { size } = await tar.stat();
  const scanned = await scanTar(windowed(tar), size);
  if (!scanned.ok) throw refused(name, scanned.fault);
  const tree = layerTree(scanned.entries);
  if (!tree.ok) throw refused(name, tree.fault);
  return tree;
}

async function writeBlob(tar: FileHandle, { root }: LayerTree, file: string, name: string): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    const { sizeBytes, chunks } = writeErofs(root, readAtOf(tar));
    if (sizeBytes > LIMITS.blobBytes)
      throw refused(name, `it holds ${sizeBytes} bytes; wanted at most ${LIMITS.blobBytes}`);
    await handle.writeFile(chunks());
    // A record that outlives a power cut must not speak of a blob that did not.
    await handle.sync();
  } catch (error) {
    throw error instanceof RangeError ? refused(name, `something in it ${error.message}`) : error;
  } finally {
    await handle.close();
  }
}
