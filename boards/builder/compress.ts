import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';

const LEVEL = 12;
const CHUNK_BYTES = 1024 ** 2;

/** Writes `target`, zstd with its checksum and the size of what it holds, from `source`: the same bytes each time. */
export async function compress(source: string, target: string): Promise<void> {
  const { size } = await stat(source);
  const zstd = createZstdCompress({
    chunkSize: CHUNK_BYTES,
    pledgedSrcSize: size,
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
  });
  await pipeline(createReadStream(source, { highWaterMark: CHUNK_BYTES }), zstd, createWriteStream(target));
}
