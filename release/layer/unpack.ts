import { type BigIntStats } from 'node:fs';
import { chmod, lstat, readFile, realpath, rm, utimes } from 'node:fs/promises';
import { sep } from 'node:path';
import { folderOf, type LayerPlan, planLayer } from '../core/layer-plan.ts';
import { ReleaseError } from '../errors.ts';
import { runTool } from '../tools.ts';
import { scanTar } from './tar-read.ts';
import { type TarNode, writeTar } from './tar-write.ts';

const OPAQUE_XATTR = { 'trusted.overlay.opaque': 'y' };
/** An account file larger than this is none. */
const ACCOUNT_BYTES = 1024 * 1024;

/** A layer's own copies of the account files; null where it says nothing of them, "" where it removes them. */
export interface LayerAccounts {
  passwd: string | null;
  group: string | null;
}

/**
 * Extracts a layer tar into the empty folder `root`, with owners, times, links, devices and xattrs, and turns OCI
 * whiteouts into overlayfs's. Needs root. GNU tar keeps entries inside `root`, links included.
 */
export async function unpackLayer(tarFile: string, root: string, name: string): Promise<LayerAccounts> {
  const scanned = await scanTar(tarFile);
  if (!scanned.ok) throw refused(name, scanned.fault);
  const planned = planLayer(scanned.entries);
  if (!planned.ok) throw refused(name, planned.fault);
  const { plan } = planned;
  await chmod(root, 0o755);
  // trusted.* is overlayfs's own: a layer that brings it could redirect lookups. security.* but capabilities, and
  // labels, belong to the machine that wrote the tar.
  const xattrs = ['--xattrs', '--xattrs-include=user.*', '--xattrs-include=security.capability'];
  await extract(['-f', tarFile, ...xattrs], root, name);
  const nodes = await overlayNodes(plan, root, name);
  for (const marker of plan.markers) await rm(inside(root, marker));
  if (nodes.length > 0)
    await extract(
      ['-f', '-', '--xattrs', '--xattrs-include=trusted.overlay.opaque'],
      root,
      name,
      writeTar(nodes),
    );
  for (const folder of plan.implicit) await utimes(inside(root, folder), 0, 0);
  return {
    passwd: await accountFile(root, 'etc/passwd', plan),
    group: await accountFile(root, 'etc/group', plan),
  };
}

async function extract(args: string[], root: string, name: string, input?: Uint8Array): Promise<void> {
  const options = ['-x', '-p', '--same-owner', '--numeric-owner', '--delay-directory-restore', '-C', root];
  const result = await runTool('tar', [...options, ...args], { ...(input && { input }) });
  if (result.code !== 0) throw refused(name, result.stderr.trim().split('\n')[0] ?? 'tar failed');
}

/** Whiteouts and opaque folders, and the folders that they change, whose times must come out as they were. */
async function overlayNodes(plan: LayerPlan, root: string, name: string): Promise<TarNode[]> {
  const opaque = new Set(plan.opaque);
  const folders = new Set([...opaque, ...plan.whiteouts.map(folderOf), ...plan.markers.map(folderOf)]);
  const nodes: TarNode[] = plan.whiteouts.map((path) => ({
    path,
    type: 'whiteout',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: '0',
    xattrs: {},
  }));
  const realRoot = await realpath(root);
  for (const path of [...folders].sort()) {
    const real = `${await realpath(inside(root, path))}${sep}`;
    if (!real.startsWith(`${realRoot}${sep}`))
      throw refused(name, `whiteout folder "${path}" leads out of the image`);
    const stats = await lstat(inside(root, path), { bigint: true });
    if (!stats.isDirectory()) throw refused(name, `whiteout folder "${path}" is not a folder`);
    nodes.push(folderNode(path, stats, opaque.has(path)));
  }
  return nodes;
}

const folderNode = (path: string, stats: BigIntStats, isOpaque: boolean): TarNode => ({
  path,
  type: 'dir',
  mode: Number(stats.mode & 0o7777n),
  uid: Number(stats.uid),
  gid: Number(stats.gid),
  mtime: `${stats.mtimeNs / 1_000_000_000n}.${String(stats.mtimeNs % 1_000_000_000n).padStart(9, '0')}`,
  xattrs: isOpaque ? OPAQUE_XATTR : {},
});

async function accountFile(root: string, path: string, plan: LayerPlan): Promise<string | null> {
  if (plan.whiteouts.includes(path) || plan.whiteouts.includes('etc')) return '';
  const folder = await lstat(inside(root, 'etc')).catch(() => undefined);
  const stats = await lstat(inside(root, path)).catch(() => undefined);
  const isPlain = folder?.isDirectory() && stats?.isFile() && stats.size <= ACCOUNT_BYTES;
  if (isPlain) return await readFile(inside(root, path), 'utf8');
  return plan.opaque.includes('etc') ? '' : null;
}

/** Paths are bytes kept as latin1: file names need not be UTF-8. */
const inside = (root: string, path: string): Buffer =>
  path === '' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);

const refused = (name: string, what: string): ReleaseError =>
  new ReleaseError('image-refused', `Cannot take layer ${name}: ${what}`);
