import type { LayerNode } from '../core/layer-node.ts';
import { type ReadContent, readRange } from './content.ts';
import { encodeDirents } from './dirents.ts';
import {
  BLOCK_BYTES,
  blocksOf,
  CHUNKED,
  DATA,
  EXTENDED_BYTES,
  encodeDevice,
  HOLE,
  MAGIC,
  MTIME,
  SLOT_BYTES,
  SUPER_OFFSET,
  TYPES,
} from './format.ts';
import { chunkBlocks, type ErofsLayout, layOut, type PlacedNode } from './layout.ts';
import { icountOf } from './xattrs.ts';

/** One for all images: the bytes depend on the tree alone. */
const UUID = Buffer.from('77686572727940008000000000000000', 'hex');
const WRITE_BYTES = 1024 * 1024;

/** An uncompressed EROFS image. `read` gives bytes of the archive that the extents of the tree speak of. */
export function writeErofs(
  tree: LayerNode,
  read: ReadContent,
): { sizeBytes: number; chunks: () => AsyncGenerator<Buffer> } {
  const layout = layOut(tree);
  return {
    sizeBytes: layout.blocks * BLOCK_BYTES,
    async *chunks() {
      yield* metadata(layout, read);
      for (const placed of layout.nodes) yield* data(placed, read);
    },
  };
}

async function* metadata(layout: ErofsLayout, read: ReadContent): AsyncGenerator<Buffer> {
  const sorted = layout.nodes.toSorted((a, b) => a.nid - b.nid);
  let pieces: { at: number; bytes: Buffer }[] = [{ at: SUPER_OFFSET, bytes: superblock(layout) }];
  let [start, held] = [0, 0];
  for (const placed of sorted) {
    const at = placed.nid * SLOT_BYTES;
    if (held >= WRITE_BYTES && at % BLOCK_BYTES === 0) {
      yield assembled(pieces, start, at);
      [pieces, start, held] = [[], at, 0];
    }
    const bytes = Buffer.concat([inode(placed), placed.xattrs, await tailOf(placed, read)]);
    pieces.push({ at, bytes });
    held += bytes.length;
  }
  yield assembled(pieces, start, layout.metadataBlocks * BLOCK_BYTES);
}

function assembled(pieces: { at: number; bytes: Buffer }[], start: number, end: number): Buffer {
  const whole = Buffer.alloc(end - start);
  for (const { at, bytes } of pieces) bytes.copy(whole, at - start);
  return whole;
}

/** erofs_super_block. */
function superblock({ root, nodes, blocks }: ErofsLayout): Buffer {
  const block = Buffer.alloc(128);
  block.writeUInt32LE(MAGIC, 0);
  block.writeUInt32LE(MTIME, 8);
  block.writeUInt8(Math.log2(BLOCK_BYTES), 12);
  block.writeUInt16LE(root.nid, 14);
  block.writeBigUInt64LE(BigInt(nodes.length), 16);
  block.writeUInt32LE(blocks, 36);
  UUID.copy(block, 48);
  block.writeUInt32LE(nodes.some(({ layout }) => layout === DATA.chunks) ? CHUNKED : 0, 80);
  return block;
}

/** erofs_inode_extended: the one with 32-bit owners and its own time. */
function inode(placed: PlacedNode): Buffer {
  const { node, xattrs, sizeBytes, layout, links, nid } = placed;
  const block = Buffer.alloc(EXTENDED_BYTES);
  block.writeUInt16LE((layout << 1) | 1, 0);
  block.writeUInt16LE(icountOf(xattrs), 2);
  block.writeUInt16LE(TYPES[node.type].mode | node.mode, 4);
  block.writeBigUInt64LE(BigInt(sizeBytes), 8);
  block.writeUInt32LE(locationOf(placed), 16);
  block.writeUInt32LE(nid % 2 ** 32, 20);
  block.writeUInt32LE(node.uid, 24);
  block.writeUInt32LE(node.gid, 28);
  block.writeBigInt64LE(node.mtime.seconds, 32);
  block.writeUInt32LE(node.mtime.nanoseconds, 40);
  block.writeUInt32LE(links, 44);
  return block;
}

function locationOf({ node, layout, chunkBits, startBlock }: PlacedNode): number {
  if (node.type === 'char' || node.type === 'block') return encodeDevice(node.device);
  return layout === DATA.chunks ? chunkBits : startBlock;
}

/** What stands behind the node: the last piece of its data, or the map of its chunks. */
async function tailOf(placed: PlacedNode, read: ReadContent): Promise<Buffer> {
  const { layout, chunks, sizeBytes } = placed;
  if (layout === DATA.chunks) {
    const map = Buffer.alloc(4 * chunks.length);
    for (const [index, block] of chunks.entries()) map.writeUInt32LE(block, 4 * index);
    return map;
  }
  if (layout !== DATA.inline) return Buffer.alloc(0);
  const from = BLOCK_BYTES * Math.floor(sizeBytes / BLOCK_BYTES);
  return await bodyOf(placed, from, sizeBytes - from, read);
}

async function* data(placed: PlacedNode, read: ReadContent): AsyncGenerator<Buffer> {
  const { layout, chunks, chunkBits, sizeBytes } = placed;
  if (layout === DATA.chunks) {
    for (const [index, block] of chunks.entries())
      if (block !== HOLE)
        yield* blocks(placed, BLOCK_BYTES * 2 ** chunkBits * index, chunkBlocks(placed, index), read);
    return;
  }
  const count = layout === DATA.inline ? Math.floor(sizeBytes / BLOCK_BYTES) : blocksOf(sizeBytes);
  yield* blocks(placed, 0, count, read);
}

/** Whole blocks of a node's data, zeros behind its end. */
async function* blocks(
  placed: PlacedNode,
  from: number,
  count: number,
  read: ReadContent,
): AsyncGenerator<Buffer> {
  const end = from + count * BLOCK_BYTES;
  for (let at = from; at < end; at += WRITE_BYTES) {
    const wanted = Math.min(WRITE_BYTES, end - at);
    const there = await bodyOf(placed, at, Math.min(wanted, Math.max(0, placed.sizeBytes - at)), read);
    yield there.length === wanted ? there : Buffer.concat([there, Buffer.alloc(wanted - there.length)]);
  }
}

async function bodyOf(
  { node, dirents }: PlacedNode,
  from: number,
  bytes: number,
  read: ReadContent,
): Promise<Buffer> {
  if (node.type === 'file') return await readRange(node.content, from, bytes, read);
  if (node.type === 'symlink') return Buffer.from(node.target, 'latin1').subarray(from, from + bytes);
  const first = from / BLOCK_BYTES;
  const encoded = dirents
    .slice(first, first + blocksOf(bytes))
    .map((entries) => encodeDirents(entries.map(({ name, type, of }) => ({ name, type, nid: of.nid }))));
  const last = encoded.at(-1);
  const isEnd = first + encoded.length === dirents.length;
  const whole = encoded.map((block) =>
    block === last && isEnd ? block : Buffer.concat([block, Buffer.alloc(BLOCK_BYTES - block.length)]),
  );
  return Buffer.concat(whole);
}
