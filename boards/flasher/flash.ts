import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { run } from '../../images/run.ts';
import { messageOf, ReleaseError } from '../../release/errors.ts';
import { type FatFiles, putFiles, readFatFile } from '../fat.ts';
import { PARTITIONS, SECTOR } from '../layout.ts';
import { deviceFacts } from './block-device.ts';
import { flashRefusal } from './core/refusal.ts';
import { openImage } from './image-file.ts';

export interface FlashOptions {
  image: string;
  device: string;
  /** Onto the first partition. */
  firmwareFiles: FatFiles;
  signal: AbortSignal;
  onProgress(step: 'writing' | 'verifying', bytes: number, ofBytes: number): void;
}

const BLOCK_BYTES = 4 * 1024 ** 2;
const FIRMWARE_OFFSET = PARTITIONS.firmware.start * SECTOR;

/**
 * Writes an image to a disk, reads it back, and puts files on its first partition, which are read back as well. Nothing
 * is written to a disk that is in use, is a system's or is too small. Durable at return.
 */
export async function flash(options: FlashOptions): Promise<{ bytes: number; sha256: string }> {
  const { device, firmwareFiles } = options;
  const image = await openImage(options.image);
  const refusal = flashRefusal(deviceFacts(device), image.bytes);
  if (refusal !== undefined)
    throw new ReleaseError('device-refused', `Cannot write to ${device}: ${refusal}`);
  const disk = await openAlone(device);
  try {
    const written = await write(image.read(), disk, image.bytes, options);
    await run('blockdev', ['--flushbufs', device]);
    const found = await digest(disk, image.bytes, options);
    if (found !== written)
      throw new ReleaseError(
        'device',
        `Cannot trust ${device}: what it gives back is not what was written to it; the card is bad or not as large as it says`,
      );
    await putAndCheck(device, firmwareFiles);
    return { bytes: image.bytes, sha256: written };
  } finally {
    await disk.close();
    // The kernel looks at the new partition table; one that cannot is told by the next plug.
    await run('blockdev', ['--rereadpt', device]).catch(() => undefined);
  }
}

/** open(2): O_EXCL on a block device fails while anything has it mounted or claimed, also between our look and now. */
async function openAlone(device: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_EXCL;
  return open(device, flags).catch((cause: unknown) => {
    throw new ReleaseError('device', `Cannot write to ${device}: ${messageOf(cause)}`, { cause });
  });
}

async function write(
  source: AsyncIterable<Buffer>,
  disk: FileHandle,
  expected: number,
  { device, signal, onProgress }: FlashOptions,
): Promise<string> {
  const hash = createHash('sha256');
  let at = 0;
  for await (const piece of blocksOf(source)) {
    signal.throwIfAborted();
    if (at + piece.length > expected)
      throw new ReleaseError('image', 'Cannot use the image: it is larger than it says');
    await writeAll(disk, piece, at).catch((cause: unknown) => {
      throw new ReleaseError('device', `Cannot write to ${device}: ${messageOf(cause)}`, { cause });
    });
    hash.update(piece);
    at += piece.length;
    onProgress('writing', at, expected);
  }
  if (at !== expected) throw new ReleaseError('image', 'Cannot use the image: it is cut short');
  await disk.sync();
  return hash.digest('hex');
}

/** write(2) may take less than it is given. */
async function writeAll(disk: FileHandle, piece: Buffer, at: number): Promise<void> {
  for (let done = 0; done < piece.length; )
    done += (await disk.write(piece, done, piece.length - done, at + done)).bytesWritten;
}

/** A card takes large pieces many times faster than small ones. */
async function* blocksOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.alloc(BLOCK_BYTES);
  let used = 0;
  for await (let piece of damageNamed(source)) {
    while (piece.length > 0) {
      const taken = Math.min(piece.length, BLOCK_BYTES - used);
      piece.copy(block, used, 0, taken);
      used += taken;
      piece = piece.subarray(taken);
      if (used < BLOCK_BYTES) continue;
      yield block;
      block = Buffer.alloc(BLOCK_BYTES);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

async function* damageNamed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* source;
  } catch (cause) {
    throw new ReleaseError('image', `Cannot use the image: ${messageOf(cause)}; fetch or build it again`, {
      cause,
    });
  }
}

async function digest(
  disk: FileHandle,
  bytes: number,
  { signal, onProgress }: FlashOptions,
): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let at = 0; at < bytes; ) {
    signal.throwIfAborted();
    const { bytesRead } = await disk.read(block, 0, Math.min(BLOCK_BYTES, bytes - at), at);
    if (bytesRead === 0) break;
    hash.update(block.subarray(0, bytesRead));
    at += bytesRead;
    onProgress('verifying', at, bytes);
  }
  return hash.digest('hex');
}

async function putAndCheck(device: string, files: FatFiles): Promise<void> {
  if (Object.keys(files).length === 0) return;
  await putFiles(device, files, { offset: FIRMWARE_OFFSET });
  await run('sync', [device]);
  await run('blockdev', ['--flushbufs', device]);
  for (const [name, content] of Object.entries(files))
    if (!(await readFatFile(device, name, FIRMWARE_OFFSET))?.equals(content))
      throw new ReleaseError('device', `Cannot trust ${device}: ${name} is not on it as it was written`);
}
