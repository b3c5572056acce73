import { join } from 'node:path';
import { sha256Hex } from '../../protocol/canonical.ts';
import type { Compression } from '../core/media-types.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { digesting } from '../files.ts';
import { decompressed } from './decompressed.ts';
import type { Descriptor } from './documents.ts';
import { readRegular, readStored } from './regular-file.ts';

/** Larger documents are no documents: bounded before they are read. */
export const DOCUMENT_BYTES = 8 * 1024 * 1024;

/** Content-addressed blobs of an OCI image layout (image-layout.md): `blobs/sha256/<hex>`, checked as they are read. */
export class LayoutBlobs {
  readonly #dir: string;
  readonly #name: string;
  constructor(dir: string, name: string) {
    this.#dir = dir;
    this.#name = name;
  }

  #path(digest: string): string {
    return join(this.#dir, 'blobs', 'sha256', hexOf(digest));
  }

  /** A small JSON document. */
  async document(descriptor: Descriptor): Promise<unknown> {
    if (descriptor.size > DOCUMENT_BYTES)
      throw new ReleaseError(
        'image-refused',
        `Cannot take image ${this.#name}: document ${short(descriptor.digest)} has ${descriptor.size} bytes; wanted at most ${DOCUMENT_BYTES}`,
      );
    const data = await readRegular(this.#path(descriptor.digest), DOCUMENT_BYTES).catch((error: unknown) => {
      throw missing(this.#name, descriptor, error);
    });
    this.#check(descriptor, sha256Hex(data), data.length);
    try {
      return JSON.parse(data.toString('utf8'));
    } catch (cause) {
      throw new ReleaseError(
        'image-refused',
        `Cannot read image ${this.#name}: ${short(descriptor.digest)} is not JSON: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  /** A layer's uncompressed tar; its stored bytes are checked against the descriptor when they end. */
  async *layer(descriptor: Descriptor, compression: Compression): AsyncGenerator<Uint8Array> {
    const stored = digesting(readStored(this.#path(descriptor.digest)), (sha256, bytes) =>
      this.#check(descriptor, sha256, bytes),
    );
    try {
      yield* decompressed(stored, compression, `layer ${short(descriptor.digest)} of image ${this.#name}`);
    } catch (error) {
      if (error instanceof ReleaseError) throw error;
      throw missing(this.#name, descriptor, error);
    }
  }

  #check(descriptor: Descriptor, sha256: string, bytes: number): void {
    if (bytes !== descriptor.size || sha256 !== hexOf(descriptor.digest))
      throw new ReleaseError(
        'image-digest',
        `Cannot trust image ${this.#name}: blob ${short(descriptor.digest)} holds ${bytes} bytes with sha256 ${sha256.slice(0, 12)}; wanted ${descriptor.size} bytes`,
      );
  }
}

export const hexOf = (digest: string): string => digest.slice('sha256:'.length);
const short = (digest: string): string => digest.slice(0, 'sha256:'.length + 12);
const missing = (name: string, descriptor: Descriptor, cause: unknown): ReleaseError =>
  new ReleaseError(
    'image',
    `Cannot read image ${name}: blob ${short(descriptor.digest)}: ${messageOf(cause)}`,
    {
      cause,
    },
  );
