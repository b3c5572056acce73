import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

const TYPES: Record<string, string> = {
  '4': 'dir',
  '8': 'file',
  '10': 'symlink',
  '2': 'char',
  '6': 'block',
  '1': 'fifo',
};

/**
 * Every path below a folder with all that programs can see of it: type, mode, owner, time, size, content, links,
 * device numbers and xattrs. Times of folders are left out: tools set them differently where a tar does not say.
 */
export function describeTree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const byInode = new Map<string, string>();
  const xattrs = xattrsBelow(root);
  /** latin1 text of its bytes: a name need not be UTF-8. */
  const walk = (path: string): void => {
    const at = Buffer.from(`${root}/${path}`, 'latin1');
    const stats = lstatSync(at, { bigint: true });
    const type = TYPES[String((stats.mode >> 12n) & 15n)] ?? 'other';
    const inode = `${stats.dev}:${stats.ino}`;
    const first = byInode.get(inode) ?? path;
    byInode.set(inode, first);
    const text = [
      type,
      (stats.mode & 0o7777n).toString(8),
      `${stats.uid}:${stats.gid}`,
      bodyOf(at, type, stats),
    ];
    if (type !== 'dir') text.push(`mtime ${stats.mtimeNs}`, `is ${first}`, `links ${stats.nlink}`);
    found[path] = [...text, ...(xattrs.get(path) ?? [])].join(' ');
    if (type === 'dir') for (const name of readdirSync(at, 'latin1').sort()) walk(join(path, name));
  };
  walk('.');
  return found;
}

function bodyOf(at: Buffer, type: string, { rdev, size }: BigIntStats): string {
  if (type === 'symlink') return `-> ${readlinkSync(at, 'latin1')}`;
  if (type === 'char' || type === 'block') return `device ${rdev}`;
  return type === 'file' ? `${size} ${createHash('sha256').update(readFileSync(at)).digest('hex')}` : '';
}

/** Only those that a layer may bring: the machine may add labels of its own. */
function xattrsBelow(root: string): Map<string, string[]> {
  const options = [
    '-R',
    '-P',
    '-h',
    '-d',
    '-e',
    'hex',
    '-m',
    '^(user\\.|security\\.capability|system\\.posix)',
    '.',
  ];
  const out = execFileSync('getfattr', options, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files = out.split('\n\n').filter((block) => block.startsWith('# file: '));
  return new Map(
    files.map((block) => {
      const [head = '', ...lines] = block.split('\n');
      return [head.slice('# file: '.length), lines.sort()];
    }),
  );
}
