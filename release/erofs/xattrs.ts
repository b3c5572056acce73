import { XATTR_HEADER_BYTES, XATTR_PREFIXES } from './format.ts';

/** i_xattr_icount has 16 bits and counts 4 bytes. */
const MAX_BYTES = XATTR_HEADER_BYTES + 0xfffe * 4;

/** erofs_xattr_ibody_header and its entries, none shared; empty for no xattrs. Throws RangeError for too many. */
export function encodeXattrs(xattrs: ReadonlyMap<string, string>): Buffer {
  if (xattrs.size === 0) return Buffer.alloc(0);
  const sorted = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  const bytes = Buffer.concat([Buffer.alloc(XATTR_HEADER_BYTES), ...sorted.map(encodeEntry)]);
  if (bytes.length > MAX_BYTES)
    throw new RangeError(`has ${bytes.length} bytes of xattrs; wanted at most ${MAX_BYTES}`);
  return bytes;
}

function encodeEntry([name, value]: [string, string]): Buffer {
  const prefix = XATTR_PREFIXES.find(([, text]) => name.startsWith(text));
  if (!prefix) throw new RangeError(`has the xattr "${name}", which EROFS cannot hold`);
  const rest = name.slice(prefix[1].length);
  const entry = Buffer.alloc(4 * Math.ceil((4 + rest.length + value.length) / 4));
  entry.writeUInt8(rest.length, 0);
  entry.writeUInt8(prefix[0], 1);
  entry.writeUInt16LE(value.length, 2);
  entry.write(rest + value, 4, 'latin1');
  return entry;
}

export const icountOf = ({ length }: Buffer): number =>
  length === 0 ? 0 : (length - XATTR_HEADER_BYTES) / 4 + 1;

/** The entries in `bytes`, which begin behind the header. Throws RangeError where they are none. */
export function decodeEntries(bytes: Buffer): [string, string][] {
  const found: [string, string][] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const { entry, length } = decodeEntry(bytes.subarray(at));
    found.push(entry);
    at += length;
  }
  return found;
}

export function decodeEntry(bytes: Buffer): { entry: [string, string]; length: number } {
  const [nameBytes, index, valueBytes] = [bytes.readUInt8(0), bytes.readUInt8(1), bytes.readUInt16LE(2)];
  const prefix = XATTR_PREFIXES.find(([number]) => number === index)?.[1];
  const end = 4 + nameBytes + valueBytes;
  if (prefix === undefined || end > bytes.length) throw new RangeError('an xattr is none');
  const name = prefix + bytes.toString('latin1', 4, 4 + nameBytes);
  return { entry: [name, bytes.toString('latin1', 4 + nameBytes, end)], length: 4 * Math.ceil(end / 4) };
}
