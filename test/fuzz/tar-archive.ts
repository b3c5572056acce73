/** A tar whose every field may lie. */
export interface RawEntry {
  name: string | Buffer;
  /** Type flag; "0" unless said. */
  flag?: string;
  link?: string | Buffer;
  content?: Buffer;
  /** What the header says of the content's size, as its text. */
  size?: string;
  mode?: string;
  prefix?: string;
  /** Bytes put over the header last, before its checksum. */
  over?: [at: number, bytes: string][];
  isUnchecked?: boolean;
}

const BLOCK = 512;

export function rawTar(entries: readonly RawEntry[], end = Buffer.alloc(2 * BLOCK)): Buffer {
  return Buffer.concat([...entries.flatMap(blocksOf), end]);
}

/** The pax records of the entry behind it. */
export function pax(records: Record<string, string>): RawEntry {
  const lines = Object.entries(records).map(([key, value]) => {
    const body = Buffer.byteLength(` ${key}=${value}\n`);
    let length = body;
    while (length !== body + String(length).length) length = body + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return { name: 'pax', flag: 'x', content: Buffer.from(lines.join('')) };
}

/** GNU's long name of the entry behind it. */
export const longName = (name: string, flag = 'L'): RawEntry => ({
  name: '././@LongLink',
  flag,
  content: Buffer.from(`${name}\0`),
});

function blocksOf(entry: RawEntry): Buffer[] {
  const { name, flag = '0', link = '', content = Buffer.alloc(0), mode = '0000644' } = entry;
  const header = Buffer.alloc(BLOCK);
  Buffer.from(name as string).copy(header, 0, 0, 100);
  header.write(mode, 100, 'latin1');
  header.write('0000000', 108, 'latin1');
  header.write('0000000', 116, 'latin1');
  header.write(entry.size ?? content.length.toString(8).padStart(11, '0'), 124, 12, 'latin1');
  header.write('00000000000', 136, 'latin1');
  header.write(' '.repeat(8), 148, 'latin1');
  header.write(flag, 156, 1, 'latin1');
  Buffer.from(link as string).copy(header, 157, 0, 100);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(entry.prefix ?? '', 345, 155, 'latin1');
  for (const [at, bytes] of entry.over ?? []) header.write(bytes, at, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  if (!entry.isUnchecked) header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
}
