import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../test/support/until.ts';
import { makeFat, putFiles, readFatFile } from './fat.ts';

const MIB = 1024 ** 2;
const OPTIONS = { label: 'WHERRY', bytes: 40 * MIB, time: 1_735_689_600 };
const FILES = { 'config.txt': Buffer.from('a'), 'overlays/some-long-name.dtbo': Buffer.alloc(70_000, 7) };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-fat-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('files are read as they were written, also into a filesystem in the midst of a disk', async () => {
  const image = join(dir, 'a.img');
  await makeFat(image, FILES, OPTIONS);
  const disk = join(dir, 'disk.img');
  writeFileSync(disk, Buffer.concat([Buffer.alloc(MIB, 255), readFileSync(image)]));
  await putFiles(disk, { 'wherry.json': Buffer.from('{}'), 'config.txt': Buffer.from('b') }, { offset: MIB });
  expect(await readFatFile(disk, 'wherry.json', MIB)).toEqual(Buffer.from('{}'));
  expect(await readFatFile(disk, 'config.txt', MIB)).toEqual(Buffer.from('b'));
  expect(await readFatFile(disk, 'overlays/some-long-name.dtbo', MIB)).toEqual(Buffer.alloc(70_000, 7));
  expect(await readFatFile(disk, 'absent', MIB)).toBeUndefined();
  await expect(readFatFile(disk, 'config.txt', 0)).rejects.toThrow('Cannot read config.txt');
});

test('the same files give the same bytes', async () => {
  await makeFat(join(dir, 'one.img'), FILES, OPTIONS);
  // FAT tells two seconds apart.
  const began = Date.now();
  await until(() => Date.now() > began + 2000, { what: 'the time to be another' });
  await makeFat(join(dir, 'two.img'), FILES, OPTIONS);
  expect(readFileSync(join(dir, 'one.img')).equals(readFileSync(join(dir, 'two.img')))).toBe(true);
});
