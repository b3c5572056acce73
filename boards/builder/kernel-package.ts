import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Takes a kernel's packages, unpacked in `root`, apart: `<folder>/kernel`, the wanted of its device trees below
 * `<folder>/device-trees`. In `root` only its modules stay. Gives the kernel's version.
 */
export async function takeKernel(
  root: string,
  folder: string,
  name: string,
  deviceTrees: readonly string[],
): Promise<string> {
  const [version] = await readdir(join(root, 'usr/lib/modules'));
  if (version === undefined) throw new Error(`Cannot build: package ${name} holds no modules`);
  const modules = join(root, 'usr/lib/modules', version);
  // From Linux 7 on Debian has all of a kernel beside its modules.
  const kernel = firstOf([join(root, 'boot', `vmlinuz-${version}`), join(modules, 'vmlinuz')], name);
  await cp(kernel, join(folder, 'kernel'));
  const trees = [join(root, `usr/lib/linux-image-${version}`), join(modules, 'dtb')];
  for (const path of deviceTrees) {
    const tree = firstOf(
      trees.map((dir) => join(dir, path)),
      name,
    );
    await mkdir(dirname(join(folder, 'device-trees', path)), { recursive: true });
    await cp(tree, join(folder, 'device-trees', path));
  }
  const rest = ['vmlinuz', 'System.map', 'config'].map((file) => join(modules, file));
  for (const path of [join(root, 'boot'), ...trees, ...rest])
    await rm(path, { recursive: true, force: true });
  await mkdir(join(root, 'boot'));
  return version;
}

function firstOf(paths: readonly string[], name: string): string {
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Cannot build: package ${name} holds none of ${paths.join(', ')}`);
  return found;
}

/** Removes what no pattern asks for of the firmware that drivers load into devices. */
export async function pruneFirmware(root: string, patterns: readonly string[]): Promise<void> {
  const folder = join(root, 'usr/lib/firmware');
  const regexes = patterns.map((pattern) => ({ pattern, regex: new RegExp(`^(?:${pattern})$`) }));
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  for (const { pattern, regex } of regexes)
    if (!paths.some((path) => regex.test(path)))
      throw new Error(`Cannot build: no package holds firmware "${pattern}"`);
  for (const path of paths) if (!regexes.some(({ regex }) => regex.test(path))) await rm(join(folder, path));
}
