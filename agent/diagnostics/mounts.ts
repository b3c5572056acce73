/** A line of /proc/<pid>/mountinfo (proc(5)). */
export interface Mount {
  point: string;
  type: string;
  source: string;
  /** Of the mount or of its superblock: an error turns the latter read-only. */
  isReadOnly: boolean;
}

export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [, , , , point = '', options = ''] = before.split(' ');
    const [type = '', source = '', superOptions = ''] = after.split(' ');
    const isReadOnly = [options, superOptions].some((text) => text.split(',').includes('ro'));
    return [{ point: unescape(point), type, source: unescape(source), isReadOnly }];
  });
}

/** The mount that holds a folder: the deepest, and of several over one point the last. */
export function mountOf(folder: string, mounts: readonly Mount[]): Mount | undefined {
  const holding = mounts.filter(
    ({ point }) => folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`),
  );
  const depth = Math.max(...holding.map(({ point }) => point.length));
  return holding.findLast(({ point }) => point.length === depth);
}

const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
