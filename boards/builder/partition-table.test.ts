import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHOICE_SECTOR, DISK_ID, DISK_SECTORS, PARTITIONS, SECTOR, TRIES_SECTOR } from '../layout.ts';
import { partitionTable } from './partition-table.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-table-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Dump {
  partitiontable: { label: string; id: string; partitions: { start: number; size: number; type: string }[] };
}

test('the partition table reads, to sfdisk, as the layout says', () => {
  const disk = join(dir, 'disk.img');
  const file = openSync(disk, 'w');
  ftruncateSync(file, DISK_SECTORS * SECTOR);
  for (const { sector, bytes } of partitionTable()) writeSync(file, bytes, 0, SECTOR, sector * SECTOR);
  closeSync(file);
  const { partitiontable } = JSON.parse(
    execFileSync('sfdisk', ['--json', disk], { encoding: 'utf8' }),
  ) as Dump;
  expect(partitiontable).toMatchObject({ label: 'dos', id: `0x${DISK_ID.toString(16)}` });
  expect(partitiontable.partitions.map(({ start, size, type }) => [start, size, type])).toEqual(
    Object.values(PARTITIONS).map(({ start, sectors, type }) => [start, sectors, type.toString(16)]),
  );
});

test('nothing of the disk lies over anything else, and the state of the slots lies before the partitions', () => {
  const rows = Object.values(PARTITIONS).filter(({ name }) => name !== 'extended');
  const { extended, data } = PARTITIONS;
  let free = TRIES_SECTOR + 1;
  for (const row of rows) {
    const record = 'record' in row ? row.record : row.start;
    expect(record).toBeGreaterThanOrEqual(free);
    free = row.start + row.sectors;
  }
  expect(CHOICE_SECTOR).not.toBe(TRIES_SECTOR);
  expect(rows.map(({ start }) => start % 2048)).toEqual(rows.map(() => 0));
  expect(data.start + data.sectors).toBe(extended.start + extended.sectors);
  expect(free).toBe(DISK_SECTORS);
});
