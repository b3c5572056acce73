import { type FileHandle, open } from 'node:fs/promises';
import type { LayerEntry } from '../core/layer-plan.ts';

/** Headers of a tar file: ustar, pax and GNU (POSIX.1-2017 pax, GNU tar manual "Basic Tar Format"). Paths as latin1. */
const BLOCK = 512;
/** A path or a pax record set; far above PATH_MAX and any xattr. */
const MAX_EXTENSION_BYTES = 1024 * 1024;

const TYPES: Record<string, LayerEntry['type']> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

interface Pending {
  path?: string;
  linkPath?: string;
  size?: number;
}

export type TarScan = { ok: true; entries: LayerEntry[] } | { ok: false; fault: string };

export async function scanTar(file: string): Promise<TarScan> {
  const handle = await open(file);
  try {
    return await scan(handle);
  } finally {
    await handle.close();
  }
}

async function scan(handle: FileHandle): Promise<TarScan> {
  const entries: LayerEntry[] = [];
  let offset = 0;
  let pending: Pending = {};
  for (;;) {
    const header = await readAt(handle, offset, BLOCK);
    if (header.length < BLOCK || header.every((byte) => byte === 0)) return { ok: true, entries };
    if (!checksumHolds(header)) return { ok: false, fault: `offset ${offset} holds no tar header` };
    const flag = String.fromCharCode(header[156] ?? 0);
    const size = pending.size ?? number(header, 124, 12);
    offset += BLOCK;
    if ('xgLK'.includes(flag)) {
      const bytes = number(header, 124, 12);
      if (bytes > MAX_EXTENSION_BYTES) return { ok: false, fault: `an extension header has ${bytes} bytes` };
      const data = (await readAt(handle, offset, bytes)).toString('latin1');
      if (flag === 'x') pending = { ...pending, ...paxOf(data) };
      if (flag === 'L') pending.path = untilNul(data);
      if (flag === 'K') pending.linkPath = untilNul(data);
      offset += padded(bytes);
      continue;
    }
    const type = TYPES[flag];
    const path = pending.path ?? headerPath(header);
    if (!type) return { ok: false, fault: `entry "${path}" is of unknown type "${flag}"` };
    entries.push({
      path: plain(path),
      type,
      ...(type === 'hardlink' && { linkPath: plain(pending.linkPath ?? text(header, 157, 100)) }),
    });
    if (flag === 'S') offset += await sparseMapBytes(handle, header, offset);
    // Only files carry data, whatever the size field of a link or device says.
    if (type === 'file') offset += padded(size);
    pending = {};
  }
}

/** Old GNU sparse files: further blocks of the map follow the header while the flag at 482 (then 504) is set. */
async function sparseMapBytes(handle: FileHandle, header: Buffer, offset: number): Promise<number> {
  let bytes = 0;
  for (let more = header[482]; more; bytes += BLOCK) {
    more = (await readAt(handle, offset + bytes, BLOCK))[504];
  }
  return bytes;
}

/** pax records: "<length> <key>=<value>\n". */
function paxOf(data: string): Pending {
  const found: Pending = {};
  for (let at = 0; at < data.length; ) {
    const length = Number.parseInt(data.slice(at), 10);
    if (!(length > 0)) break;
    const record = data.slice(data.indexOf(' ', at) + 1, at + length - 1);
    const [key, value] = [record.slice(0, record.indexOf('=')), record.slice(record.indexOf('=') + 1)];
    // The path of a sparse file is a made-up one; its own name stands in the GNU record.
    if (key === 'GNU.sparse.name' || (key === 'path' && found.path === undefined)) found.path = value;
    if (key === 'linkpath') found.linkPath = value;
    if (key === 'size') found.size = Number(value);
    at += length;
  }
  return found;
}

async function readAt(handle: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, offset);
  return buffer.subarray(0, bytesRead);
}

function checksumHolds(header: Buffer): boolean {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  return sum === number(header, 148, 8);
}

/** Octal text, or base 256 where the first bit is set. */
function number(header: Buffer, at: number, length: number): number {
  if ((header[at] ?? 0) & 0x80) return Number(header.readBigUInt64BE(at + length - 8));
  return Number.parseInt(text(header, at, length).trim() || '0', 8);
}

function headerPath(header: Buffer): string {
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? text(header, 345, 155) : '';
  return prefix ? `${prefix}/${text(header, 0, 100)}` : text(header, 0, 100);
}

const text = (header: Buffer, at: number, length: number): string =>
  untilNul(header.toString('latin1', at, at + length));
const untilNul = (data: string): string => (data.includes('\0') ? data.slice(0, data.indexOf('\0')) : data);
const padded = (bytes: number): number => Math.ceil(bytes / BLOCK) * BLOCK;

/** "./a//b/" → "a/b"; a leading "/" stays, so that it can be refused. */
const plain = (path: string): string =>
  (path.startsWith('/') ? '/' : '') +
  path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
