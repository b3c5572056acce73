/** A layer's file system as a tree. Names, targets and xattrs are bytes kept as latin1 text: none needs to be UTF-8. */
export interface LayerNode {
  type: NodeType;
  /** Permission bits, 07777. */
  mode: number;
  uid: number;
  gid: number;
  mtime: Timestamp;
  /** By full name: `user.note`. */
  xattrs: ReadonlyMap<string, string>;
  /** Of a folder. The same node under two names is a hard link. */
  children: Map<string, LayerNode>;
  /** Of a symbolic link. */
  target: string;
  /** Of a device; 0/0 of a character device is overlayfs's whiteout. */
  device: { major: number; minor: number };
  /** Of a file. */
  content: Content;
}

export type NodeType = 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** Nanoseconds count up from the second, also before 1970. */
export interface Timestamp {
  seconds: bigint;
  nanoseconds: number;
}

export interface Content {
  sizeBytes: number;
  /** Ascending, apart. What no extent covers is a hole. */
  extents: readonly Extent[];
}

/** `bytes` at `at` of the archive stand at `offset` of the file. */
export interface Extent {
  offset: number;
  bytes: number;
  at: number;
}

export const OPAQUE_XATTR = 'trusted.overlay.opaque';

/** A folder that nothing describes. */
export const plainFolder = (): LayerNode => ({
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0n, nanoseconds: 0 },
  xattrs: new Map(),
  children: new Map(),
  target: '',
  device: { major: 0, minor: 0 },
  content: { sizeBytes: 0, extents: [] },
});

/** Hides what the layers below have under its name. overlayfs.rst, "whiteouts and opaque directories". */
export const whiteout = (): LayerNode => ({ ...plainFolder(), type: 'char', mode: 0 });

export const isWhiteout = ({ type, device }: LayerNode): boolean =>
  type === 'char' && device.major === 0 && device.minor === 0;

export const isOpaque = ({ xattrs }: LayerNode): boolean => xattrs.get(OPAQUE_XATTR) === 'y';

/** In the order of bytes, which EROFS wants and which makes the same tree the same blob. */
export const sortedChildren = ({ children }: LayerNode): [string, LayerNode][] =>
  [...children].sort(([a], [b]) => (a < b ? -1 : 1));

/** The node at a path such as "etc/passwd", links not followed; "" is the root. */
export function nodeAt(root: LayerNode, path: string): LayerNode | undefined {
  let node: LayerNode | undefined = root;
  for (const name of path === '' ? [] : path.split('/')) node = node?.children.get(name);
  return node;
}
