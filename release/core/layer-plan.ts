/**
 * From an OCI layer's tar entries to an overlayfs layer. Paths are bytes as latin1 text, without "./" and the last "/".
 * OCI image-spec layer.md, "Whiteouts"; overlayfs.rst, "whiteouts and opaque directories".
 */
export interface LayerEntry {
  path: string;
  type: 'file' | 'dir' | 'hardlink' | 'symlink' | 'char' | 'block' | 'fifo';
  /** Of a hard link: another path of the same layer. */
  linkPath?: string;
}

export interface LayerPlan {
  /** `.wh.` files of the tar, to remove once it is extracted. */
  markers: string[];
  /** Become 0/0 character devices: they hide the path in the layers below. */
  whiteouts: string[];
  /** Folders that hide what the layers below hold in them. */
  opaque: string[];
  /** Folders that the tar needs but does not describe: 0755, root, time 0. */
  implicit: string[];
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** AUFS's own bookkeeping (.wh..wh.plnk, .wh..wh.aufs): no content. */
const AUFS = '.wh..wh.';

/** Throws nothing: a path that would leave the layer is a fault, named. */
export function planLayer(
  entries: readonly LayerEntry[],
): { ok: true; plan: LayerPlan } | { ok: false; fault: string } {
  for (const entry of entries) {
    const fault =
      pathFault(entry.path) ?? (entry.type === 'hardlink' ? pathFault(entry.linkPath ?? '') : undefined);
    if (fault) return { ok: false, fault: `entry "${entry.path}" ${fault}` };
  }
  const markers = entries.filter(({ path }) => nameOf(path).startsWith(WHITEOUT)).map(({ path }) => path);
  const explicit = new Map(
    entries.filter(({ path }) => !nameOf(path).startsWith(WHITEOUT)).map(({ path, type }) => [path, type]),
  );
  const implicit = implicitFolders(entries, explicit);
  const plan: LayerPlan = { markers, whiteouts: [], opaque: [], implicit };
  for (const marker of markers) place(marker, plan, explicit);
  plan.opaque = [...new Set(plan.opaque)];
  return { ok: true, plan };
}

function place(marker: string, plan: LayerPlan, explicit: ReadonlyMap<string, LayerEntry['type']>): void {
  const folder = folderOf(marker);
  const name = nameOf(marker);
  if (name === OPAQUE) {
    plan.opaque.push(folder);
    return;
  }
  if (name.startsWith(AUFS)) return;
  const hidden = folder ? `${folder}/${name.slice(WHITEOUT.length)}` : name.slice(WHITEOUT.length);
  // A layer may remove a path and bring a new one of the same name: only a folder would still show what is below.
  if (explicit.get(hidden) === 'dir' || plan.implicit.includes(hidden)) plan.opaque.push(hidden);
  else if (!explicit.has(hidden)) plan.whiteouts.push(hidden);
}

function implicitFolders(
  entries: readonly LayerEntry[],
  explicit: ReadonlyMap<string, LayerEntry['type']>,
): string[] {
  const found = new Set<string>();
  for (const { path } of entries) {
    for (let at = folderOf(path); !explicit.has(at) && !found.has(at); at = folderOf(at)) {
      found.add(at);
      if (at === '') break;
    }
  }
  return [...found].sort();
}

function pathFault(path: string): string | undefined {
  if (path.startsWith('/')) return 'is an absolute path; wanted one inside the image';
  if (path.split('/').includes('..')) return 'climbs with ".."; wanted a path inside the image';
  if (nameOf(path) === WHITEOUT) return 'is a whiteout of nothing';
  return undefined;
}

/** The folder of "a/b" is "a"; of "a", the root "". */
export const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
