import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeFat, readFatFile } from '../../boards/fat.ts';
import { deviceFacts } from '../../boards/flasher/block-device.ts';
import { flashRefusal } from '../../boards/flasher/core/refusal.ts';
import { type FlashOptions, flash } from '../../boards/flasher/flash.ts';
import { PARTITIONS, SECTOR } from '../../boards/layout.ts';

const MIB = 1024 ** 2;
const OFFSET = PARTITIONS.firmware.start * SECTOR;
const FIRMWARE_BYTES = PARTITIONS.firmware.sectors * SECTOR;
/** A firmware partition, and something behind it that is not zeros. */
const IMAGE_BYTES = OFFSET + FIRMWARE_BYTES + 6 * MIB;
const files = { 'wherry.json': Buffer.from('{"name":"boat-1"}'), 'root.json': Buffer.from('signed root') };

let dir: string;
let image: string;
let plain: Buffer;
const loops: string[] = [];

const command = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8' }).trim();

/** A disk that can be taken out of its reader: a loop device over a file. */
function card(name: string, bytes: number): { device: string; file: string } {
  const file = join(dir, name);
  writeFileSync(file, '');
  truncateSync(file, bytes);
  const device = command('losetup', '--find', '--show', file);
  loops.push(device);
  return { device, file };
}

const flashed = (device: string, more: Partial<FlashOptions> = {}) =>
  flash({
    image,
    device,
    firmwareFiles: {},
    signal: new AbortController().signal,
    onProgress: () => undefined,
    ...more,
  });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wherry-flash-'));
  const fat = join(dir, 'fat');
  await makeFat(
    fat,
    { 'boot.scr': Buffer.from('a script') },
    { label: 'FIRMWARE', bytes: FIRMWARE_BYTES, time: 0 },
  );
  plain = Buffer.alloc(IMAGE_BYTES);
  readFileSync(fat).copy(plain, OFFSET);
  randomBytes(6 * MIB).copy(plain, OFFSET + FIRMWARE_BYTES);
  image = join(dir, 'board.img.zst');
  writeFileSync(image, zstdCompressSync(plain));
});
afterAll(async () => {
  for (const device of loops) command('losetup', '--detach', device);
  await rm(dir, { recursive: true });
});

describe('flashing a disk', () => {
  test('decompresses the image onto it, reads it back, and puts files on the first partition alone', async () => {
    const { device, file } = card('whole', IMAGE_BYTES + 3 * MIB);
    const steps = new Map<string, number>();
    const result = await flashed(device, {
      firmwareFiles: files,
      onProgress: (step, bytes) => void steps.set(step, bytes),
    });
    expect(result.bytes).toBe(IMAGE_BYTES);
    expect(Object.fromEntries(steps)).toEqual({ writing: IMAGE_BYTES, verifying: IMAGE_BYTES });
    const found = readFileSync(file);
    const behind = OFFSET + FIRMWARE_BYTES;
    expect(found.subarray(0, OFFSET).equals(plain.subarray(0, OFFSET))).toBe(true);
    expect(found.subarray(behind, IMAGE_BYTES).equals(plain.subarray(behind))).toBe(true);
    for (const [name, content] of Object.entries({ ...files, 'boot.scr': Buffer.from('a script') }))
      expect(await readFatFile(file, name, OFFSET)).toEqual(content);
  });

  test('takes an image that is not compressed', async () => {
    const raw = join(dir, 'board.img');
    writeFileSync(raw, plain);
    const { device, file } = card('raw', IMAGE_BYTES);
    await flashed(device, { image: raw });
    expect(readFileSync(file).equals(plain)).toBe(true);
  });

  test('finds a card that gives back something else than what was written', async () => {
    const { device, file } = card('bad', IMAGE_BYTES);
    let isSpoilt = false;
    const spoil = (step: string): void => {
      if (step !== 'verifying' || isSpoilt) return;
      isSpoilt = true;
      writeSync(
        openSync(file, constants.O_RDWR | constants.O_SYNC),
        Buffer.from('rotten'),
        0,
        6,
        IMAGE_BYTES - MIB,
      );
    };
    await expect(flashed(device, { onProgress: spoil })).rejects.toThrow('is not what was written to it');
  });

  test('stops when it is told to', async () => {
    const { device } = card('stopped', IMAGE_BYTES);
    const stop = new AbortController();
    await expect(flashed(device, { signal: stop.signal, onProgress: () => stop.abort() })).rejects.toThrow(
      /abort/i,
    );
  });
});

describe('what is not written to', () => {
  test('a disk that is mounted; not a byte of it changes', async () => {
    const { device, file } = card('mounted', IMAGE_BYTES);
    command('mkfs.ext4', '-q', device);
    const point = join(dir, 'point');
    command('mkdir', point);
    command('mount', device, point);
    try {
      await expect(flashed(device)).rejects.toThrow(`is mounted at ${point}; unmount it`);
    } finally {
      command('umount', point);
    }
    expect(readFileSync(file).subarray(OFFSET).includes(Buffer.from('a script'))).toBe(false);
  });

  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const [root = ''] = mounts.find((line) => line.split(' ')[1] === '/')?.split(' ') ?? [];
  test.runIf(root.startsWith('/dev/'))('the disk of this system', () => {
    expect(flashRefusal(deviceFacts(root), 0)).toMatch(/a disk of this system|a partition/);
  });

  test('a disk that is claimed between the look and the write', async () => {
    const { device } = card('claimed', IMAGE_BYTES);
    const claim = await open(device, constants.O_RDONLY | constants.O_EXCL);
    try {
      await expect(flashed(device)).rejects.toThrow(/EBUSY/);
    } finally {
      await claim.close();
    }
  });

  test('a disk that is too small by a sector', async () => {
    const { device } = card('small', IMAGE_BYTES - SECTOR);
    await expect(flashed(device)).rejects.toThrow('take a larger card');
  });

  test.each([
    ['a file', () => image, 'no block device'],
    ['nothing', () => join(dir, 'nowhere'), 'not there'],
    ['a character device', () => '/dev/null', 'no block device'],
  ])('%s', async (_, path, said) => {
    await expect(flashed(path())).rejects.toThrow(said);
  });
});

describe('an image that is not what it should be', () => {
  test.each<[string, () => Buffer, RegExp]>([
    ['cut short', () => readFileSync(image).subarray(0, -1000), /Cannot use the image/],
    ['damaged', () => spoilt(readFileSync(image)), /Cannot use the image|not what was written/],
  ])('%s', async (name, made, said) => {
    const file = join(dir, `${name}.img.zst`);
    writeFileSync(file, made());
    const { device } = card(name, IMAGE_BYTES);
    await expect(flashed(device, { image: file })).rejects.toThrow(said);
  });

  test('not there', async () => {
    const { device } = card('no-image', IMAGE_BYTES);
    await expect(flashed(device, { image: join(dir, 'none.img') })).rejects.toThrow('Cannot read the image');
  });
});

/** A block's header in the middle of the frame that no decoder takes. */
function spoilt(bytes: Buffer): Buffer {
  bytes.fill(0xff, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 300_000);
  return bytes;
}
