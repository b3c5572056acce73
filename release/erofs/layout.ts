import { type LayerNode, sortedChildren } from '../core/layer-node.ts';
import { type Dirent, direntBlocks } from './dirents.ts';
import {
  BLOCK_BYTES,
  blocksOf,
  DATA,
  EXTENDED_BYTES,
  HOLE,
  SLOT_BYTES,
  SUPER_BYTES,
  SUPER_OFFSET,
} from './format.ts';
import { Packing } from './packing.ts';
import { encodeXattrs } from './xattrs.ts';

/** A node with its place in the image. */
export interface PlacedNode {
  node: LayerNode;
  /** Its number, and the inode number that programs see. */
  nid: number;
  links: number;
  xattrs: Buffer;
  sizeBytes: number;
  layout: (typeof DATA)[keyof typeof DATA];
  /** First block of its data; of the plain part only. */
  startBlock: number;
  /** Blocks of a folder. */
  dirents: (Dirent & { of: PlacedNode })[][];
  /** First block of each chunk, or HOLE. */
  chunks: number[];
  /** Log2 of a chunk's blocks. */
  chunkBits: number;
}

export interface ErofsLayout {
  nodes: PlacedNode[];
  root: PlacedNode;
  metadataBlocks: number;
  blocks: number;
}

/** A file with holes has at most so many chunks. */
const MAX_CHUNKS = 4096;

/** Where everything stands: it depends on the tree alone. Throws RangeError for what EROFS cannot hold. */
export function layOut(tree: LayerNode): ErofsLayout {
  const nodes: PlacedNode[] = [];
  const known = new Map<LayerNode, PlacedNode>();
  const root = collect(tree, undefined, nodes, known);
  const packing = new Packing(SUPER_OFFSET + SUPER_BYTES);
  for (const placed of nodes) describe(placed);
  for (const placed of nodes) {
    const tail = placed.layout === DATA.inline ? placed.sizeBytes % BLOCK_BYTES : 4 * placed.chunks.length;
    placed.nid = packing.place(EXTENDED_BYTES + placed.xattrs.length + tail) / SLOT_BYTES;
  }
  const metadataBlocks = blocksOf(packing.end);
  let next = metadataBlocks;
  for (const placed of nodes) next = placeData(placed, next);
  return { nodes, root, metadataBlocks, blocks: next };
}

/** Depth first, so that the files of a folder stand together. */
function collect(
  node: LayerNode,
  parent: PlacedNode | undefined,
  nodes: PlacedNode[],
  known: Map<LayerNode, PlacedNode>,
): PlacedNode {
  const seen = known.get(node);
  if (seen) {
    seen.links += 1;
    return seen;
  }
  const placed: PlacedNode = {
    node,
    nid: 0,
    links: 1,
    xattrs: encodeXattrs(node.xattrs),
    sizeBytes: 0,
    layout: DATA.plain,
    startBlock: 0,
    dirents: [],
    chunks: [],
    chunkBits: 0,
  };
  known.set(node, placed);
  nodes.push(placed);
  if (node.type !== 'dir') return placed;
  const children = sortedChildren(node).map(([name, child]) => ({
    name,
    type: child.type,
    of: collect(child, placed, nodes, known),
  }));
  const all = [
    { name: '.', type: 'dir' as const, of: placed },
    { name: '..', type: 'dir' as const, of: parent ?? placed },
    ...children,
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
  const { blocks, sizeBytes } = direntBlocks(all);
  placed.links = 2 + children.filter(({ type }) => type === 'dir').length;
  return Object.assign(placed, { dirents: blocks, sizeBytes });
}

/** Size and form. The last piece of data stands beside the node where both fit into one block. */
function describe(placed: PlacedNode): void {
  const { node } = placed;
  if (node.type === 'file') placed.sizeBytes = node.content.sizeBytes;
  if (node.type === 'symlink') placed.sizeBytes = node.target.length;
  if (node.type === 'file' && chunked(placed)) return;
  const tail = placed.sizeBytes % BLOCK_BYTES;
  if (tail > 0 && EXTENDED_BYTES + placed.xattrs.length + tail <= BLOCK_BYTES) placed.layout = DATA.inline;
}

/** Only where a whole chunk is a hole; `chunks` says which hold data. */
function chunked(placed: PlacedNode): boolean {
  const { sizeBytes, extents } = placed.node.content;
  let bits = 0;
  while (blocksOf(sizeBytes) > MAX_CHUNKS * 2 ** bits) bits += 1;
  const chunkBytes = BLOCK_BYTES * 2 ** bits;
  const chunks = Array.from({ length: Math.ceil(sizeBytes / chunkBytes) }, () => HOLE);
  for (const { offset, bytes } of extents)
    chunks.fill(0, Math.floor(offset / chunkBytes), Math.ceil((offset + bytes) / chunkBytes));
  if (!chunks.includes(HOLE)) return false;
  Object.assign(placed, { layout: DATA.chunks, chunks, chunkBits: bits });
  return true;
}

/** The chunk's data blocks: the last chunk ends with the file. */
export function chunkBlocks({ chunkBits, sizeBytes }: PlacedNode, index: number): number {
  return Math.min(2 ** chunkBits, blocksOf(sizeBytes) - index * 2 ** chunkBits);
}

function placeData(placed: PlacedNode, next: number): number {
  if (placed.layout === DATA.chunks) {
    for (const [index, chunk] of placed.chunks.entries()) {
      if (chunk === HOLE) continue;
      placed.chunks[index] = next;
      next += chunkBlocks(placed, index);
    }
    return next;
  }
  placed.startBlock = next;
  return (
    next +
    (placed.layout === DATA.inline ? Math.floor(placed.sizeBytes / BLOCK_BYTES) : blocksOf(placed.sizeBytes))
  );
}
