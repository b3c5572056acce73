/** Small pax archives for GNU tar to extract: the one tool at hand that sets xattrs and makes device nodes. */
export type TarNode = Attributes & ({ type: 'dir' | 'whiteout' } | { type: 'file'; content: Uint8Array });

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

const BLOCK = 512;
/** POSIX.1-2017 pax, typeflag; overlayfs's whiteout is a character device. */
const FLAGS = { dir: '5', whiteout: '3', file: '0' } as const;

export function writeTar(nodes: readonly TarNode[]): Buffer {
  return Buffer.concat([...nodes.flatMap(nodeBlocks), Buffer.alloc(2 * BLOCK)]);
}

function nodeBlocks(node: TarNode): Uint8Array[] {
  const content = node.type === 'file' ? node.content : new Uint8Array();
  const records = {
    path: node.type === 'dir' ? `${node.path || '.'}/` : node.path,
    mtime: node.mtime,
    uid: String(node.uid),
    gid: String(node.gid),
    ...Object.fromEntries(Object.entries(node.xattrs).map(([key, value]) => [`SCHILY.xattr.${key}`, value])),
  };
  const pax = Buffer.from(Object.entries(records).map(paxRecord).join(''), 'latin1');
  return [
    header({ type: 'x', mode: 0o644, size: pax.length }),
    pax,
    padding(pax),
    header({ type: FLAGS[node.type], mode: node.mode, size: content.length }),
    content,
    padding(content),
  ];
}

/** "<length> <key>=<value>\n", where the length counts its own digits. */
function paxRecord([key, value]: [string, string]): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length;
  while (length !== body.length + String(length).length) length = body.length + String(length).length;
  return `${length}${body}`;
}

/** Path, owner and time stand in the pax records; device numbers stay 0/0, overlayfs's whiteout. */
function header({ type, mode, size }: { type: string; mode: number; size: number }): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write('pax', 0, 'latin1');
  block.write(octal(mode, 7), 100, 'latin1');
  block.write(octal(0, 7), 108, 'latin1');
  block.write(octal(0, 7), 116, 'latin1');
  block.write(octal(size, 11), 124, 'latin1');
  block.write(octal(0, 11), 136, 'latin1');
  block.write(' '.repeat(8), 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(octal(0, 7), 329, 'latin1');
  block.write(octal(0, 7), 337, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

const padding = ({ length }: Uint8Array): Buffer => Buffer.alloc((BLOCK - (length % BLOCK)) % BLOCK);

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
