/** An entry of an archive; folders before what is in them. */
export type CpioEntry =
  | { path: string; kind: 'folder' }
  | { path: string; kind: 'file'; mode: number; data: Buffer }
  | { path: string; kind: 'link'; target: string };

const FORMAT = { folder: 0o040755, file: 0o100000, link: 0o120777 } as const;

/** The "newc" format of cpio(5), which the kernel unpacks as its first root: owner 0, time 0. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const records = entries.map((entry, index) => record(entry.path, modeOf(entry), dataOf(entry), index + 1));
  return Buffer.concat([...records, record('TRAILER!!!', 0, Buffer.alloc(0), 0)]);
}

const modeOf = (entry: CpioEntry): number =>
  entry.kind === 'file' ? FORMAT.file | entry.mode : FORMAT[entry.kind];

const dataOf = (entry: CpioEntry): Buffer =>
  entry.kind === 'file' ? entry.data : Buffer.from(entry.kind === 'link' ? entry.target : '');

function record(path: string, mode: number, data: Buffer, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const links = 1;
  const numbers = [inode, mode, 0, 0, links, 0, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(
    `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`,
  );
  const named = Buffer.concat([header, name]);
  return Buffer.concat([named, padding(named.length), data, padding(data.length)]);
}

const padding = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
