import {
  isOpaque,
  isWhiteout,
  type LayerNode,
  nodeAt,
  OPAQUE_XATTR,
  plainFolder,
  whiteout,
} from './layer-node.ts';

/** An entry of a layer's tar. Paths are without "./" and the last "/"; "" is the root. */
export type LayerEntry = Omit<LayerNode, 'children' | 'type'> & {
  path: string;
  type: LayerNode['type'] | 'hardlink';
  /** Of a hard link: an earlier path of the same layer. */
  linkPath: string;
};

export interface LayerTree {
  root: LayerNode;
  /** Folders that the tar needs but does not describe. */
  implicit: string[];
  /** Names of xattrs that belong to the machine that wrote the tar, and are not taken. */
  leftOut: string[];
}

/** Folders made so far that no entry described before. */
interface Made {
  folders: number;
}

type Placed = { ok: true } | { ok: false; fault: string };

const WHITEOUT = '.wh.';
/** A folder's own entries "." and ".." are none that a layer could hide. */
const WHITEOUTS_OF_NOTHING = ['', '.', '..'].map((name) => WHITEOUT + name);
const OPAQUE = '.wh..wh..opq';
/** AUFS's own bookkeeping (.wh..wh.plnk, .wh..wh.aufs): no content. */
const AUFS = '.wh..wh.';
/** EROFS_NAME_LEN, NAME_MAX, PATH_MAX. */
const NAME_BYTES = 255;
const PATH_BYTES = 4095;
const XATTR_BYTES = 65_535;
/** A tar of a few kilobytes can name millions. */
const MOST_MADE_FOLDERS = 65_536;
const NO_OWNER = 0xffff_ffff;

/**
 * From an OCI layer's tar entries to an overlayfs layer. OCI image-spec layer.md, "Whiteouts" and "Applying Changesets":
 * a later entry takes the place of an earlier one; whiteouts concern the layers below only, wherever they stand.
 */
export function layerTree(
  entries: readonly LayerEntry[],
): ({ ok: true } & LayerTree) | { ok: false; fault: string } {
  const root = plainFolder();
  const described = new Set<string>();
  const leftOut = new Set<string>();
  const made = { folders: 0 };
  for (const entry of entries) {
    const fault = entryFault(entry);
    const placed = fault === undefined ? place(root, entry, leftOut, made) : { ok: false as const, fault };
    if (!placed.ok) return { ok: false, fault: `entry "${shown(entry)}" ${placed.fault}` };
    if (!isMarker(entry) && !isAufs(entry)) described.add(entry.path);
  }
  for (const entry of entries.filter((each) => isMarker(each) && !isAufs(each))) {
    const placed = hide(root, entry.path, made);
    if (!placed.ok) return { ok: false, fault: `entry "${shown(entry)}" ${placed.fault}` };
  }
  dropIdleWhiteouts(root, false);
  return { ok: true, root, implicit: undescribed(root, described), leftOut: [...leftOut].sort() };
}

function place(root: LayerNode, entry: LayerEntry, leftOut: Set<string>, made: Made): Placed {
  if (isMarker(entry) || isAufs(entry)) return { ok: true };
  if (entry.path === '') {
    if (entry.type !== 'dir') return { ok: false, fault: 'would take the place of the root folder' };
    Object.assign(root, nodeOf(entry, leftOut), { children: root.children });
    return { ok: true };
  }
  const folder = folderFor(root, entry.path, made);
  if ('fault' in folder) return { ok: false, fault: folder.fault };
  const name = nameOf(entry.path);
  if (entry.type === 'hardlink') {
    const target = nodeAt(root, entry.linkPath);
    if (!target || target.type === 'dir')
      return {
        ok: false,
        fault: `is a hard link to "${entry.linkPath}", which is no earlier file of its layer`,
      };
    folder.children.set(name, target);
    return { ok: true };
  }
  const before = folder.children.get(name);
  const node = nodeOf(entry, leftOut);
  if (before?.type === 'dir' && node.type === 'dir') node.children = before.children;
  folder.children.set(name, node);
  return { ok: true };
}

/** A layer may remove a path and bring a new one of the same name: only a folder would still show what is below. */
function hide(root: LayerNode, marker: string, made: Made): Placed {
  const folder = folderFor(root, marker, made);
  if ('fault' in folder) return { ok: false, fault: folder.fault };
  const name = nameOf(marker);
  if (name === OPAQUE) {
    makeOpaque(folder);
    return { ok: true };
  }
  const hidden = name.slice(WHITEOUT.length);
  const own = folder.children.get(hidden);
  if (own?.type === 'dir') makeOpaque(own);
  else if (!own) folder.children.set(hidden, whiteout());
  return { ok: true };
}

/** The folder that holds the path, with those above it, made where the tar has not described them. */
function folderFor(root: LayerNode, path: string, made: Made): LayerNode | { fault: string } {
  let folder = root;
  const parts = path.split('/').slice(0, -1);
  for (const [index, part] of parts.entries()) {
    let next = folder.children.get(part);
    if (!next) {
      if (++made.folders > MOST_MADE_FOLDERS)
        return { fault: `needs more folders than ${MOST_MADE_FOLDERS} that its layer does not describe` };
      folder.children.set(part, (next = plainFolder()));
    }
    if (next.type !== 'dir')
      return {
        fault: `lies below "${parts.slice(0, index + 1).join('/')}", which is no folder in this layer`,
      };
    folder = next;
  }
  return folder;
}

/** In an opaque folder there is nothing below to hide, and overlayfs would list the whiteout itself. */
function dropIdleWhiteouts(folder: LayerNode, isBelowOpaque: boolean): void {
  const isIdle = isBelowOpaque || isOpaque(folder);
  for (const [name, node] of folder.children) {
    if (node.type === 'dir') dropIdleWhiteouts(node, isIdle);
    else if (isIdle && isWhiteout(node)) folder.children.delete(name);
  }
}

/** Paths of all folders that are not described, in order. */
function undescribed(root: LayerNode, described: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const visit = (node: LayerNode, path: string): void => {
    if (!described.has(path)) found.push(path);
    for (const [name, child] of node.children)
      if (child.type === 'dir') visit(child, path === '' ? name : `${path}/${name}`);
  };
  visit(root, '');
  return found.sort();
}

function nodeOf(entry: LayerEntry, leftOut: Set<string>): LayerNode {
  const { path: _path, linkPath: _linkPath, type, ...rest } = entry;
  const xattrs = new Map([...entry.xattrs].filter(([name]) => isTaken(name) || !leftOut.add(name)));
  return { ...rest, type: type === 'hardlink' ? 'file' : type, xattrs, children: new Map() };
}

function makeOpaque(folder: LayerNode): void {
  folder.xattrs = new Map([...folder.xattrs, [OPAQUE_XATTR, 'y']]);
}

/**
 * trusted.* is overlayfs's own: a layer that brings it could redirect lookups. security.* but capabilities, and labels,
 * belong to the machine that wrote the tar.
 */
const isTaken = (name: string): boolean =>
  name === 'security.capability' || name.startsWith('user.') || name.startsWith('system.posix_acl_');

function entryFault({ path, type, linkPath, target, uid, gid, xattrs }: LayerEntry): string | undefined {
  if (type === 'hardlink') return pathFault(path) ?? pathFault(linkPath);
  if (Math.max(uid, gid) >= NO_OWNER) return `belongs to ${uid}:${gid}; wanted ids below ${NO_OWNER}`;
  if (type === 'symlink' && (target === '' || target.length > PATH_BYTES))
    return `is a link to ${target.length} bytes; wanted 1 to ${PATH_BYTES}`;
  for (const [name, value] of xattrs)
    if (name.length > NAME_BYTES || value.length > XATTR_BYTES)
      return `has an xattr of ${name.length} and ${value.length} bytes; wanted at most ${NAME_BYTES} and ${XATTR_BYTES}`;
  return pathFault(path);
}

function pathFault(path: string): string | undefined {
  const parts = path.split('/');
  if (path.length > PATH_BYTES) return `has a path of ${path.length} bytes; wanted at most ${PATH_BYTES}`;
  if (path.startsWith('/')) return 'is an absolute path; wanted one inside the image';
  if (parts.includes('..')) return 'climbs with ".."; wanted a path inside the image';
  if (path.includes('\0')) return 'has a NUL in its name';
  const long = parts.find((part) => part.length > NAME_BYTES);
  if (long !== undefined) return `has a name of ${long.length} bytes; wanted at most ${NAME_BYTES}`;
  if (parts.slice(0, -1).some((part) => part.startsWith(WHITEOUT) && !part.startsWith(AUFS)))
    return 'lies below a whiteout';
  if (WHITEOUTS_OF_NOTHING.includes(nameOf(path))) return 'is a whiteout of nothing that a folder holds';
  return undefined;
}

const shown = ({ path }: LayerEntry): string => (path.length > 300 ? `${path.slice(0, 300)}…` : path);
const isMarker = ({ path }: LayerEntry): boolean => nameOf(path).startsWith(WHITEOUT);
const isAufs = ({ path }: LayerEntry): boolean =>
  nameOf(path) !== OPAQUE && path.split('/').some((part) => part.startsWith(AUFS) && part !== OPAQUE);
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
