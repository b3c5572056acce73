import {
  isOpaque,
  isWhiteout,
  type LayerNode,
  OPAQUE_XATTR,
  sortedChildren,
  type Timestamp,
} from '../core/layer-node.ts';
import { type ReadContent, readRange } from '../erofs/content.ts';
import { tarEnd, tarPadding, writeHead, xattrRecords } from './tar-write.ts';

const READ_BYTES = 1024 * 1024;
const BLOCK = 512;

/** A layer's tree as the tar of an OCI layer, with OCI's whiteouts. `read` gives what the extents speak of. */
export async function* tarOf(root: LayerNode, read: ReadContent): AsyncGenerator<Buffer> {
  const paths = new Map<LayerNode, string>();
  yield* nodeTar(root, '', paths, read);
  yield tarEnd();
}

async function* nodeTar(
  node: LayerNode,
  path: string,
  paths: Map<LayerNode, string>,
  read: ReadContent,
): AsyncGenerator<Buffer> {
  if (node.type === 'socket') throw new RangeError(`"${path}" is a socket, which a tar cannot hold`);
  const first = paths.get(node);
  if (first !== undefined) {
    const records = { path, linkpath: first };
    yield writeHead({ flag: 'hardlink', mode: node.mode, size: 0, records });
    return;
  }
  if (node.type !== 'dir') paths.set(node, path);
  if (node.type === 'file') return yield* fileTar(node, path, read);
  const flag = node.type;
  yield writeHead({ flag, mode: node.mode, size: 0, device: node.device, records: recordsOf(node, path) });
  if (isOpaque(node)) yield marker(join(path, '.wh..wh..opq'));
  for (const [name, child] of sortedChildren(node)) {
    if (isWhiteout(child)) yield marker(join(path, `.wh.${name}`));
    else yield* nodeTar(child, join(path, name), paths, read);
  }
}

async function* fileTar(node: LayerNode, path: string, read: ReadContent): AsyncGenerator<Buffer> {
  const { content } = node;
  const stored = content.extents.reduce((total, { bytes }) => total + bytes, 0);
  if (stored === content.sizeBytes) {
    const records = recordsOf(node, path);
    yield writeHead({ flag: 'file', mode: node.mode, size: stored, records });
  } else {
    const map = sparseMap(node);
    const records = { ...recordsOf(node, path), ...sparseRecords(node, path) };
    yield writeHead({ flag: 'file', mode: node.mode, size: map.length + stored, records });
    yield map;
  }
  for (const { offset, bytes } of content.extents)
    for (let at = 0; at < bytes; at += READ_BYTES)
      yield await readRange(content, offset + at, Math.min(READ_BYTES, bytes - at), read);
  yield tarPadding(stored);
}

/** GNU tar "Storing Sparse Files", PAX format 1.0: the one that all readers know. */
const sparseRecords = ({ content }: LayerNode, path: string): Record<string, string> => ({
  path: `GNUSparseFile.0/${path}`,
  'GNU.sparse.major': '1',
  'GNU.sparse.minor': '0',
  'GNU.sparse.name': path,
  'GNU.sparse.realsize': String(content.sizeBytes),
});

function sparseMap({ content: { extents, sizeBytes } }: LayerNode): Buffer {
  // A hole at the end is told by an empty piece there.
  const last = extents.at(-1);
  const isEndKnown = last !== undefined && last.offset + last.bytes === sizeBytes;
  const pieces = isEndKnown ? extents : [...extents, { offset: sizeBytes, bytes: 0 }];
  const numbers = [pieces.length, ...pieces.flatMap(({ offset, bytes }) => [offset, bytes])];
  const text = Buffer.from(numbers.map((number) => `${number}\n`).join(''));
  return Buffer.concat([text, Buffer.alloc((BLOCK - (text.length % BLOCK)) % BLOCK)]);
}

function recordsOf(node: LayerNode, path: string): Record<string, string> {
  const xattrs = [...node.xattrs]
    .filter(([name]) => name !== OPAQUE_XATTR)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    path: node.type === 'dir' ? `${path || '.'}/` : path,
    ...(node.type === 'symlink' && { linkpath: node.target }),
    mtime: timeText(node.mtime),
    uid: String(node.uid),
    gid: String(node.gid),
    ...xattrRecords(xattrs),
  };
}

/** −2 s and 750000000 ns → "-1.25". */
function timeText({ seconds, nanoseconds }: Timestamp): string {
  const isBefore = seconds < 0n && nanoseconds > 0;
  const fraction = isBefore ? 1_000_000_000 - nanoseconds : nanoseconds;
  const decimals = nanoseconds === 0 ? '' : `.${String(fraction).padStart(9, '0')}`;
  return isBefore ? `-${-(seconds + 1n)}${decimals}` : `${seconds}${decimals}`;
}

const marker = (path: string): Buffer =>
  writeHead({ flag: 'file', mode: 0o644, size: 0, records: { path, mtime: '0', uid: '0', gid: '0' } });

const join = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);
