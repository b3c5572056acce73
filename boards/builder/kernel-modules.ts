import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from '../../images/run.ts';

/** `<module path below the version's folder>` → the paths it depends on, nearest first, as modules.dep(5) has them. */
export type Dependencies = ReadonlyMap<string, readonly string[]>;

export function parseDependencies(text: string): Dependencies {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [path, rest] = line.split(':');
      return path && rest !== undefined
        ? [[path, rest.split(' ').filter((word) => word !== '')] as const]
        : [];
    }),
  );
}

/** The modules whose path below kernel/, without ".ko…", matches a pattern, and all they depend on. */
export function wantedModules(all: Dependencies, patterns: readonly string[]): Set<string> {
  const wanted = new Set<string>();
  for (const pattern of patterns) {
    const regex = new RegExp(`^kernel/(?:${pattern})\\.ko(\\.xz)?$`);
    const matching = [...all].filter(([path]) => regex.test(path));
    if (matching.length === 0)
      throw new Error(`Cannot find kernel modules "${pattern}": this kernel has none`);
    for (const [path, needs] of matching) for (const each of [path, ...needs]) wanted.add(each);
  }
  return wanted;
}

/** Load order of modules given by name: what is depended on comes first. */
export function loadOrder(all: Dependencies, names: readonly string[]): string[] {
  const order = new Set<string>();
  for (const name of names) {
    const found = [...all].find(([path]) => moduleName(path) === name.replaceAll('-', '_'));
    if (!found)
      throw new Error(`Cannot load kernel module "${name}" early: the kernel has none, or it is built in`);
    for (const path of [...found[1]].reverse()) order.add(path);
    order.add(found[0]);
  }
  return [...order];
}

/** As the kernel writes it, from the path of its file. */
export const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');

/**
 * Keeps only what is wanted of a kernel's modules, uncompressed, and writes their index. What devices all of them would
 * have driven stays as `aliases`.
 */
export async function pruneModules(
  root: string,
  version: string,
  patterns: readonly string[],
  aliases: string,
): Promise<Dependencies> {
  const folder = join(root, 'usr/lib/modules', version);
  const wanted = wantedModules(await index(root, version), patterns);
  await copyFile(join(folder, 'modules.alias'), aliases);
  const entries = await readdir(join(folder, 'kernel'), { recursive: true, withFileTypes: true });
  const kept: string[] = [];
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    if (wanted.has(path.slice(folder.length + 1))) kept.push(path);
    else await rm(path);
  }
  await run('xz', ['--decompress', ...kept.filter((path) => path.endsWith('.xz'))]);
  await run('find', [join(folder, 'kernel'), '-type', 'd', '-empty', '-delete']);
  return index(root, version);
}

async function index(root: string, version: string): Promise<Dependencies> {
  const folder = join(root, 'usr/lib/modules', version);
  await mkdir(folder, { recursive: true });
  // depmod wants to know what is built in; Debian's package tells it.
  for (const file of ['modules.order', 'modules.builtin'])
    await writeFile(join(folder, file), '', { flag: 'a' });
  await run('depmod', ['-b', root, version]);
  return parseDependencies(await readFile(join(folder, 'modules.dep'), 'utf8'));
}
