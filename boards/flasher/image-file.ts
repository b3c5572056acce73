import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import { messageOf, ReleaseError } from '../../release/errors.ts';

/** An image as it lies on disk, compressed or not. */
export interface ImageFile {
  /** Of the image itself. */
  bytes: number;
  read(): Readable;
}

const ZSTD_MAGIC = 0xfd_2f_b5_28;
/** RFC 8878 §3.1.1: magic, descriptor, window, dictionary, content size. */
const HEADER_BYTES = 18;

export async function openImage(path: string): Promise<ImageFile> {
  const header = Buffer.alloc(HEADER_BYTES);
  let fileBytes: number;
  try {
    fileBytes = (await stat(path)).size;
    const file = await open(path);
    await file.read(header, 0, HEADER_BYTES, 0).finally(() => file.close());
  } catch (cause) {
    throw new ReleaseError('image', `Cannot read the image: ${messageOf(cause)}`, { cause });
  }
  if (header.readUInt32LE(0) !== ZSTD_MAGIC) return { bytes: fileBytes, read: () => createReadStream(path) };
  const bytes = contentSize(header);
  if (bytes === undefined)
    throw new ReleaseError(
      'image',
      `Cannot use ${path}: its zstd frame does not say how large the image is; compress it as a file, not from a pipe`,
    );
  const read = (): Readable => {
    const source = createReadStream(path);
    const plain = createZstdDecompress();
    source.on('error', (error) => plain.destroy(error));
    return source.pipe(plain);
  };
  return { bytes, read };
}

/** RFC 8878 §3.1.1.1.4; undefined when the frame does not carry it. */
export function contentSize(header: Buffer): number | undefined {
  const descriptor = header.readUInt8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (isSingle ? 0 : 1) + dictionaryBytes;
  switch (descriptor >> 6) {
    case 0:
      return isSingle ? header.readUInt8(at) : undefined;
    case 1:
      return header.readUInt16LE(at) + 256;
    case 2:
      return header.readUInt32LE(at);
    default:
      return Number(header.readBigUInt64LE(at));
  }
}
