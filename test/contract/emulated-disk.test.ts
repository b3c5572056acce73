import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BuiltBoard } from '../../boards/builder/build-board.ts';
import { EmulatedBoard } from '../../boards/emulator/emulated-board.ts';
import { makeFat, readFatFile } from '../../boards/fat.ts';
import { PARTITIONS, SECTOR } from '../../boards/layout.ts';
import { run } from '../../images/run.ts';

const MIB = 1024 ** 2;
const OFFSET = PARTITIONS.firmware.start * SECTOR;

let dir: string;

/** As much of a built board as its disk needs: a first partition. */
async function imageNamed(name: string): Promise<BuiltBoard> {
  const fat = join(dir, 'fat');
  const bytes = PARTITIONS.firmware.sectors * SECTOR;
  await makeFat(fat, { 'boot.scr': Buffer.from(name) }, { label: 'WHERRY', bytes, time: 0 });
  const disk = join(dir, `${name}.img`);
  writeFileSync(disk, Buffer.concat([Buffer.alloc(OFFSET), readFileSync(fat)]));
  return { disk } as BuiltBoard;
}

const optionsFor = (built: BuiltBoard, card: string) => ({
  built,
  dir: join(dir, 'board'),
  firmwareFiles: { 'wherry.json': Buffer.from(card) },
  spareMib: 1,
  memoryMib: 64,
  cpus: 1,
});

/** What stands on the first partition of a board's disk. */
async function onCard(board: EmulatedBoard, name: string): Promise<string> {
  const flat = join(dir, 'flat.img');
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', board.disk, flat]);
  return String(await readFatFile(flat, name, OFFSET));
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wherry-emulated-disk-'));
});
afterAll(() => rm(dir, { recursive: true }));

test('a board goes on with the disk that it had; a newer image begins anew', async () => {
  const first = await imageNamed('first');
  const before = readFileSync(first.disk);
  const board = await EmulatedBoard.resume(optionsFor(first, 'one'));
  expect(await onCard(board, 'wherry.json')).toBe('one');
  expect(statSync(board.disk).size).toBeLessThan(8 * MIB);

  const again = await EmulatedBoard.resume(optionsFor(first, 'two'));
  expect(await onCard(again, 'wherry.json')).toBe('one');
  expect(readFileSync(first.disk).equals(before)).toBe(true);

  const newer = await EmulatedBoard.resume(optionsFor(await imageNamed('second'), 'three'));
  expect(await onCard(newer, 'wherry.json')).toBe('three');
  expect(await onCard(newer, 'boot.scr')).toBe('second');
});
