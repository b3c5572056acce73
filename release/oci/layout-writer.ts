import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, sha256Hex } from '../../protocol/canonical.ts';
import { ReleaseError } from '../errors.ts';
import { writeDurably } from '../files.ts';

export interface Stored {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string };
  annotations?: Record<string, string>;
}

/** A new OCI image layout folder (image-layout.md). `index.json` comes last: without it the folder is no layout. */
export class LayoutWriter {
  readonly #dir: string;
  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Throws ReleaseError `folder` when the folder holds something already. */
  static async create(dir: string): Promise<LayoutWriter> {
    await mkdir(join(dir), { recursive: true });
    if ((await readdir(dir)).length > 0)
      throw new ReleaseError(
        'folder',
        `Cannot write image layout ${dir}: it is not empty; wanted a new folder`,
      );
    await mkdir(join(dir, 'blobs/sha256'), { recursive: true });
    return new LayoutWriter(dir);
  }

  /** Written as it comes, never whole in memory. */
  async stream(mediaType: string, data: AsyncIterable<Uint8Array>): Promise<Stored> {
    const work = await mkdtemp(join(this.#dir, 'blobs/new-'));
    try {
      const hash = createHash('sha256');
      let size = 0;
      const handle = await open(join(work, 'blob'), 'wx');
      try {
        for await (const piece of data) {
          hash.update(piece);
          size += piece.length;
          await handle.writeFile(piece);
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
      const digest = hash.digest('hex');
      await rename(join(work, 'blob'), this.#path(digest));
      return { mediaType, digest: `sha256:${digest}`, size };
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  async document(mediaType: string, document: object): Promise<Stored> {
    const text = canonicalJson(document);
    await writeDurably(this.#path(sha256Hex(text)), text);
    return { mediaType, digest: `sha256:${sha256Hex(text)}`, size: Buffer.byteLength(text) };
  }

  async finish(manifests: Stored[]): Promise<void> {
    await writeDurably(join(this.#dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    await writeDurably(
      join(this.#dir, 'index.json'),
      canonicalJson({ schemaVersion: 2, mediaType, manifests }),
    );
  }

  #path(digest: string): string {
    return join(this.#dir, 'blobs/sha256', digest);
  }
}
