import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { partitionTable } from '../builder/partition-table.ts';
import { DISK_SECTORS, PARTITIONS, SECTOR } from '../layout.ts';
import { LAYOUT_VARIABLES } from './layout.ts';

/** The script that a board runs, in the shell that it runs it in, on a file. */
let dir: string;
let disk: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-grow-'));
  disk = join(dir, 'disk.img');
  writeFileSync(join(dir, 'layout'), LAYOUT_VARIABLES);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SPARE = 300 * 2048;
const { extended, data, 'system-b': before } = PARTITIONS;

function makeDisk(sectors: number): void {
  const file = openSync(disk, 'w');
  ftruncateSync(file, sectors * SECTOR);
  for (const { sector, bytes } of partitionTable()) writeSync(file, bytes, 0, SECTOR, sector * SECTOR);
  closeSync(file);
}
/** What a boot does, cut off before the write of this number. Answers whether it found anything to do. */
function boot(sectors: number, cutBefore = 99): boolean {
  const script = `. ${dir}/layout; . ${import.meta.dirname}/grow
    eval "really_$(sed -n '/^write_number() {/,/^}/p' ${import.meta.dirname}/grow)"
    count=0
    write_number() { count=$((count + 1)); [ $count -lt ${cutBefore} ] || exit 0; really_write_number "$@"; }
    if needs_growth ${disk} ${sectors}; then echo grows; grow ${disk} ${sectors}; fi`;
  return execFileSync('busybox', ['sh', '-c', script], { encoding: 'utf8' }) === 'grows\n';
}
interface Row {
  start: number;
  size: number;
}
function table(): Row[] {
  const text = execFileSync('sfdisk', ['--json', disk], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return (JSON.parse(text) as { partitiontable: { partitions: Row[] } }).partitiontable.partitions;
}
const sizes = (): Record<string, number> =>
  Object.fromEntries(table().map(({ size }, index) => [Object.keys(PARTITIONS)[index], size]));
const linkedTo = (): number => {
  const record = Buffer.alloc(SECTOR);
  const file = openSync(disk, 'r');
  readSync(file, record, 0, SECTOR, before.record * SECTOR);
  closeSync(file);
  return record.readUInt32LE(474);
};

describe('the first boot', () => {
  test('grows the data over the medium, to a whole MiB; the next one finds nothing to do', () => {
    makeDisk(DISK_SECTORS + SPARE + 2047);
    expect(boot(DISK_SECTORS + SPARE + 2047)).toBe(true);
    expect(sizes()).toMatchObject({ data: data.sectors + SPARE, extended: extended.sectors + SPARE });
    expect(linkedTo()).toBe(data.start - data.record + data.sectors + SPARE);
    expect(boot(DISK_SECTORS + SPARE + 2047)).toBe(false);
  });

  test.each([
    1, 2, 3,
  ])('cut off before its write %i leaves a table that is read, and the next one goes on', (cut) => {
    makeDisk(DISK_SECTORS + SPARE);
    const starts = table().map(({ start }) => start);
    expect(boot(DISK_SECTORS + SPARE, cut)).toBe(true);
    expect(table().map(({ start }) => start)).toEqual(starts);
    expect(sizes()).toMatchObject({ data: data.sectors, 'system-b': before.sectors });
    expect(boot(DISK_SECTORS + SPARE)).toBe(true);
    expect(sizes()).toMatchObject({ data: data.sectors + SPARE, extended: extended.sectors + SPARE });
  });

  test('of a medium as large as the image changes nothing', () => {
    makeDisk(DISK_SECTORS);
    expect(boot(DISK_SECTORS)).toBe(false);
    expect(sizes()).toMatchObject({ data: data.sectors });
  });

  test('of a medium larger than an MBR can say takes what it can', () => {
    makeDisk(DISK_SECTORS);
    expect(boot(2 ** 33)).toBe(true);
    const file = openSync(disk, 'r');
    const record = Buffer.alloc(SECTOR);
    readSync(file, record, 0, SECTOR, data.record * SECTOR);
    closeSync(file);
    expect(data.start + record.readUInt32LE(458)).toBe(4_294_965_248);
  });
});
