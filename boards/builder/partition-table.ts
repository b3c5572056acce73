import { DISK_ID, PARTITIONS, type Partition } from '../layout.ts';

/** One sector of a partition table. */
export interface TableSector {
  sector: number;
  bytes: Buffer;
}

const ENTRIES = 446;
const ENTRY_BYTES = 16;
const BOOTABLE = 0x80;
/** Cylinder, head and sector of what is addressed by its number alone. */
const NO_CHS = [0xfe, 0xff, 0xff];
const LINK = 0x05;

interface Entry {
  type: number;
  start: number;
  sectors: number;
  isBootable?: boolean;
}

/** The master boot record and, before each logical partition, an extended boot record that links to the next. */
export function partitionTable(): TableSector[] {
  const all: Partition[] = Object.values(PARTITIONS);
  const primaries = all.filter(({ record }) => record === undefined);
  const master = tableSector(primaries.map((each) => ({ ...each, isBootable: each.number === 1 })));
  master.writeUInt32LE(DISK_ID, 440);
  const logicals = all.flatMap(({ record, ...rest }) => (record === undefined ? [] : [{ ...rest, record }]));
  const records = logicals.map(({ record, type, start, sectors }, index) => {
    const own = { type, start: start - record, sectors };
    const next = logicals[index + 1];
    // Links count from the extended partition's beginning, and take the next record with what it describes.
    const link = next && {
      type: LINK,
      start: next.record - PARTITIONS.extended.start,
      sectors: next.start + next.sectors - next.record,
    };
    return { sector: record, bytes: tableSector(link ? [own, link] : [own]) };
  });
  return [{ sector: 0, bytes: master }, ...records];
}

function tableSector(entries: readonly Entry[]): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.writeUInt16LE(0xaa55, 510);
  for (const [index, { type, start, sectors, isBootable }] of entries.entries()) {
    const at = ENTRIES + index * ENTRY_BYTES;
    bytes.set([isBootable ? BOOTABLE : 0, ...NO_CHS, type, ...NO_CHS], at);
    bytes.writeUInt32LE(start, at + 8);
    bytes.writeUInt32LE(sectors, at + 12);
  }
  return bytes;
}
