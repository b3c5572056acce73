import { readFileSync } from 'node:fs';

export interface Mounted {
  point: string;
  type: string;
  /** Options of the filesystem, not of the mount: `lowerdir=…`, `size=…`. */
  options: string[];
}

/** Mounts below a folder, oldest first, from the text of /proc/<pid>/mountinfo (proc(5)). */
export function mountsBelow(folder: string, mountinfo: string): Mounted[] {
  const mounts: Mounted[] = [];
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = unescapeOctal(before.split(' ')[4] ?? '');
    if (!point.startsWith(`${folder}/`)) continue;
    const [type = '', , options = ''] = after.split(' ');
    mounts.push({ point, type, options: options.split(',').map(unescapeOctal) });
  }
  return mounts;
}

export const readMounts = (folder: string): Mounted[] =>
  mountsBelow(folder, readFileSync('/proc/self/mountinfo', 'utf8'));

const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
