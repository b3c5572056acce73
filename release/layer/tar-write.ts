/** pax archives (POSIX.1-2017 pax): whatever a header has no room for stands in the records before it. */
export type TarNode = Attributes & ({ type: 'dir' } | { type: 'file'; content: Uint8Array });

interface Attributes {
  /** latin1 text of the path's bytes. */
  path: string;
  mode: number;
  uid: number;
  gid: number;
  /** Seconds, with as many decimals as are known. */
  mtime: string;
  xattrs: Record<string, string>;
}

export interface TarHead {
  flag: TarFlag;
  mode: number;
  /** Of the data that follows. */
  size: number;
  device?: { major: number; minor: number };
  /** pax records, in this order. */
  records: Record<string, string>;
}

const BLOCK = 512;
const FLAGS = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
  pax: 'x',
} as const;
export type TarFlag = keyof typeof FLAGS;

export function writeTar(nodes: readonly TarNode[]): Buffer {
  return Buffer.concat([...nodes.flatMap(nodeBlocks), tarEnd()]);
}

export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK);

function nodeBlocks(node: TarNode): Uint8Array[] {
  const content = node.type === 'file' ? node.content : new Uint8Array();
  const records = {
    path: node.type === 'dir' ? `${node.path || '.'}/` : node.path,
    mtime: node.mtime,
    uid: String(node.uid),
    gid: String(node.gid),
    ...xattrRecords(Object.entries(node.xattrs)),
  };
  const head = { flag: node.type, mode: node.mode, size: content.length, records };
  return [writeHead(head), content, tarPadding(content.length)];
}

/** In a key, "=" and "%" stand as GNU tar writes them. */
export const xattrRecords = (xattrs: Iterable<[string, string]>): Record<string, string> =>
  Object.fromEntries(
    [...xattrs].map(([key, value]) => [
      `SCHILY.xattr.${key.replaceAll('%', '%25').replaceAll('=', '%3D')}`,
      value,
    ]),
  );

/** The headers of an entry, records first; its data follows, padded. */
export function writeHead(head: TarHead): Buffer {
  const pax = Buffer.from(Object.entries(head.records).map(paxRecord).join(''), 'latin1');
  const first = header({ flag: 'pax', mode: 0o644, size: pax.length });
  return Buffer.concat([first, pax, tarPadding(pax.length), header(head)]);
}

export const tarPadding = (bytes: number): Buffer => Buffer.alloc((BLOCK - (bytes % BLOCK)) % BLOCK);

/** "<length> <key>=<value>\n", where the length counts its own digits. */
function paxRecord([key, value]: [string, string]): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length;
  while (length !== body.length + String(length).length) length = body.length + String(length).length;
  return `${length}${body}`;
}

/** Path, owner and time stand in the pax records. */
function header({ flag, mode, size, device = { major: 0, minor: 0 } }: Omit<TarHead, 'records'>): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write('pax', 0, 'latin1');
  block.write(octal(mode, 7), 100, 'latin1');
  block.write(octal(0, 7), 108, 'latin1');
  block.write(octal(0, 7), 116, 'latin1');
  block.write(octal(size, 11), 124, 'latin1');
  block.write(octal(0, 11), 136, 'latin1');
  block.write(' '.repeat(8), 148, 'latin1');
  block.write(FLAGS[flag], 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(octal(device.major, 7), 329, 'latin1');
  block.write(octal(device.minor, 7), 337, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
