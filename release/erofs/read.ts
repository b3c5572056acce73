import type { Content, Extent, LayerNode, NodeType } from '../core/layer-node.ts';
import { type ReadContent, readRange } from './content.ts';
import {
  BLOCK_BYTES,
  blocksOf,
  CHUNKED,
  COMPACT_BYTES,
  DATA,
  DIRENT_BYTES,
  decodeDevice,
  EXTENDED_BYTES,
  HOLE,
  MAGIC,
  SLOT_BYTES,
  SUPER_BYTES,
  SUPER_OFFSET,
  TYPES,
  XATTR_HEADER_BYTES,
} from './format.ts';
import { decodeEntries, decodeEntry } from './xattrs.ts';

/** EROFS_FEATURE_INCOMPAT_ZERO_PADDING: concerns compressed data, of which there is none. */
const ZERO_PADDING = 0x1;
/** Chunk map of 8 bytes an entry, the block in the second half. */
const CHUNK_INDEXES = 0x20;
const MAX_NODES = 4_000_000;
/** PATH_MAX of one-letter names. */
const MAX_DEPTH = 2048;
const MAX_FOLDER_BYTES = 256 * 1024 * 1024;

interface Image {
  read: ReadContent;
  metadataAt: number;
  sharedXattrsAt: number;
  buildSeconds: bigint;
  nodes: Map<number, LayerNode>;
}

/**
 * An uncompressed image's tree, also of one that mkfs.erofs made; extents speak of the image. Throws RangeError for
 * what is no such image.
 */
export async function readErofs(read: ReadContent): Promise<LayerNode> {
  const block = await read(SUPER_OFFSET, SUPER_BYTES);
  if (block.length < SUPER_BYTES || block.readUInt32LE(0) !== MAGIC)
    throw new RangeError('it is no EROFS image');
  if (block.readUInt8(12) !== Math.log2(BLOCK_BYTES)) throw new RangeError('its blocks are not of 4 KiB');
  const features = block.readUInt32LE(80);
  if (features & ~(CHUNKED | ZERO_PADDING))
    throw new RangeError(`it has the features 0x${features.toString(16)}`);
  const image: Image = {
    read,
    metadataAt: BLOCK_BYTES * block.readUInt32LE(40),
    sharedXattrsAt: BLOCK_BYTES * block.readUInt32LE(44),
    buildSeconds: block.readBigUInt64LE(24),
    nodes: new Map(),
  };
  const root = await readNode(image, block.readUInt16LE(14));
  if (root.type !== 'dir') throw new RangeError('its root is no folder');
  return root;
}

async function readNode(image: Image, nid: number, depth = 0): Promise<LayerNode> {
  const known = image.nodes.get(nid);
  if (known?.type === 'dir') throw new RangeError('a folder has two names');
  if (known) return known;
  if (depth > MAX_DEPTH) throw new RangeError(`its folders nest deeper than ${MAX_DEPTH}`);
  if (image.nodes.size >= MAX_NODES) throw new RangeError(`it has more than ${MAX_NODES} nodes`);
  const raw = await readInode(image, nid);
  const type = typeOf(raw.mode);
  const node: LayerNode = {
    type,
    mode: raw.mode & 0o7777,
    uid: raw.uid,
    gid: raw.gid,
    mtime: raw.mtime,
    xattrs: await readXattrs(image, raw),
    children: new Map(),
    target: '',
    device: type === 'char' || type === 'block' ? decodeDevice(raw.location) : { major: 0, minor: 0 },
    content: { sizeBytes: 0, extents: [] },
  };
  image.nodes.set(nid, node);
  if (type === 'file') node.content = await contentOf(image, raw);
  if (type === 'symlink') node.target = (await bodyOf(image, raw, BLOCK_BYTES)).toString('latin1');
  if (type === 'dir')
    for (const [name, child] of direntsOf(await bodyOf(image, raw, MAX_FOLDER_BYTES)))
      node.children.set(name, await readNode(image, child, depth + 1));
  return node;
}

interface RawInode {
  layout: number;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  location: number;
  mtime: LayerNode['mtime'];
  xattrBytes: number;
  xattrsAt: number;
}

async function readInode(image: Image, nid: number): Promise<RawInode> {
  const at = image.metadataAt + nid * SLOT_BYTES;
  const block = await image.read(at, EXTENDED_BYTES);
  if (block.length < COMPACT_BYTES) throw new RangeError('it is cut off');
  const isExtended = (block.readUInt16LE(0) & 1) === 1 && block.length === EXTENDED_BYTES;
  const icount = block.readUInt16LE(2);
  return {
    layout: (block.readUInt16LE(0) >> 1) & 7,
    mode: block.readUInt16LE(4),
    uid: isExtended ? block.readUInt32LE(24) : block.readUInt16LE(24),
    gid: isExtended ? block.readUInt32LE(28) : block.readUInt16LE(26),
    sizeBytes: isExtended ? Number(block.readBigUInt64LE(8)) : block.readUInt32LE(8),
    location: block.readUInt32LE(16),
    mtime: isExtended
      ? { seconds: block.readBigInt64LE(32), nanoseconds: block.readUInt32LE(40) }
      : { seconds: image.buildSeconds, nanoseconds: 0 },
    xattrBytes: icount === 0 ? 0 : XATTR_HEADER_BYTES + 4 * (icount - 1),
    xattrsAt: at + (isExtended ? EXTENDED_BYTES : COMPACT_BYTES),
  };
}

async function readXattrs(image: Image, { xattrBytes, xattrsAt }: RawInode): Promise<Map<string, string>> {
  if (xattrBytes === 0) return new Map();
  const bytes = await image.read(xattrsAt, xattrBytes);
  if (bytes.length < xattrBytes) throw new RangeError('it is cut off');
  const inlineAt = XATTR_HEADER_BYTES + 4 * bytes.readUInt8(4);
  const found = decodeEntries(bytes.subarray(inlineAt));
  for (let at = XATTR_HEADER_BYTES; at < inlineAt; at += 4) {
    const shared = await image.read(image.sharedXattrsAt + 4 * bytes.readUInt32LE(at), 4 + 255 + 65_535);
    found.push(decodeEntry(shared).entry);
  }
  return new Map(found);
}

async function contentOf(image: Image, raw: RawInode): Promise<Content> {
  const { sizeBytes, layout, location, xattrsAt, xattrBytes } = raw;
  const behind = xattrsAt + xattrBytes;
  if (layout === DATA.chunks) return { sizeBytes, extents: await chunkExtents(image, raw, behind) };
  if (layout !== DATA.plain && layout !== DATA.inline) throw new RangeError('it holds compressed files');
  const tail = layout === DATA.inline ? sizeBytes % BLOCK_BYTES || Math.min(sizeBytes, BLOCK_BYTES) : 0;
  const whole = sizeBytes - tail;
  const extents: Extent[] = [
    { offset: 0, bytes: whole, at: BLOCK_BYTES * location },
    { offset: whole, bytes: tail, at: behind },
  ];
  return { sizeBytes, extents: extents.filter(({ bytes }) => bytes > 0) };
}

async function chunkExtents(
  image: Image,
  { sizeBytes, location }: RawInode,
  behind: number,
): Promise<Extent[]> {
  const chunkBytes = BLOCK_BYTES * 2 ** (location & 0x1f);
  const unit = location & CHUNK_INDEXES ? 8 : 4;
  const count = Math.ceil(sizeBytes / chunkBytes);
  if (count > MAX_NODES) throw new RangeError(`a file has ${count} chunks`);
  const map = await image.read(unit * Math.ceil(behind / unit), unit * count);
  if (map.length < unit * count) throw new RangeError('it is cut off');
  const extents: Extent[] = [];
  for (let index = 0; index < count; index++) {
    const block = map.readUInt32LE(unit * index + unit - 4);
    if (block === HOLE) continue;
    const offset = index * chunkBytes;
    extents.push({ offset, bytes: Math.min(chunkBytes, sizeBytes - offset), at: BLOCK_BYTES * block });
  }
  return extents;
}

async function bodyOf(image: Image, raw: RawInode, most: number): Promise<Buffer> {
  if (raw.sizeBytes > most) throw new RangeError(`a folder or link has ${raw.sizeBytes} bytes`);
  return await readRange(await contentOf(image, raw), 0, raw.sizeBytes, image.read);
}

function direntsOf(body: Buffer): [string, number][] {
  const found: [string, number][] = [];
  for (let index = 0; index < blocksOf(body.length); index++) {
    const block = body.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    const count = Math.floor(block.readUInt16LE(8) / DIRENT_BYTES);
    for (let entry = 0; entry < count; entry++) {
      const at = entry * DIRENT_BYTES;
      const end = entry + 1 < count ? block.readUInt16LE(at + DIRENT_BYTES + 8) : block.length;
      const [name = ''] = block.toString('latin1', block.readUInt16LE(at + 8), end).split('\0');
      if (name === '.' || name === '..') continue;
      if (name === '' || name.includes('/')) throw new RangeError('a name is none');
      found.push([name, Number(block.readBigUInt64LE(at))]);
    }
  }
  return found;
}

function typeOf(mode: number): NodeType {
  const found = Object.entries(TYPES).find(([, type]) => type.mode === (mode & 0o170000));
  if (!found) throw new RangeError(`a node has the mode ${mode.toString(8)}`);
  return found[0] as NodeType;
}
