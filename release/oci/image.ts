import type { Platform } from '../../protocol/manifest.ts';
import type { ImageConfig } from './documents.ts';

/** One platform's image: what is converted. */
export interface Image {
  /** sha256 of the image manifest, hex; of the config (the image ID) where an old docker-archive has no manifest. */
  digest: string;
  config: ImageConfig;
  /** Lowest first. */
  layers: ImageLayer[];
}

export interface ImageLayer {
  /** sha256 of the uncompressed tar, hex. The reader checks it: `open` only vouches for the stored bytes. */
  diffId: string;
  /** The uncompressed tar. Throws ReleaseError `image-digest` at the end when the stored bytes are not the digest's. */
  open(): AsyncIterable<Uint8Array>;
}

/** An opened image reference. `close` removes what opening it unpacked. */
export interface ImageArchive {
  /** Throws ReleaseError when the archive holds no such platform, or one that cannot be taken, by name. */
  image(platform: Platform): Promise<Image>;
  close(): Promise<void>;
}
