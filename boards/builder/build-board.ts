import { copyFile, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from '../../images/run.ts';
import { type ImageConfig, loadImageConfig } from '../image-config.ts';
import { agentSources, placeAgent } from './agent-tree.ts';
import { fetchPackages, type PackageFile } from './apt.ts';
import { folderKey, keyOf, made } from './cache.ts';
import { initramfs } from './initramfs.ts';
import { pruneModules } from './kernel-modules.ts';
import { unpackPackages } from './unpack.ts';

const BOARDS = join(import.meta.dirname, '..');
const LINKS = join(BOARDS, 'rootfs-links.txt');
const PROJECT = join(BOARDS, '..');
/** 2025-01-01: of every file, so that the same input gives the same bytes. */
const BUILT_AT = '1735689600';
const SYSTEM_UUID = '77686572-7279-4000-8000-000000000001';

export interface BuildBoardOptions {
  board: string;
  /** Downloads and all that is made from them. */
  cacheDir?: string;
  onProgress?: (line: string) => void;
}

/** What a board boots from. */
export interface BuiltBoard {
  config: ImageConfig;
  kernel: string;
  initramfs: string;
  /** The read-only root filesystem: EROFS. */
  system: string;
  /** Every package with its version and digest. */
  manifest: string;
  /** The packages, unpacked. */
  packages: string;
}

/** Makes the files that a board boots from. `dist/agent` has been built. What has not changed is not made again. */
export async function buildBoard({
  board,
  cacheDir = join(BOARDS, '.build'),
  onProgress = () => undefined,
}: BuildBoardOptions): Promise<BuiltBoard> {
  const config = await loadImageConfig(join(PROJECT, 'board-configs'), board);
  const { kernel, packages: wanted, suite } = config;
  const packages = await fetchPackages({
    cacheDir: join(cacheDir, 'debian'),
    suite,
    architecture: 'arm64',
    packages: [kernel.package, ...wanted.system, ...wanted.agent],
    onProgress,
  });
  const builder = await folderKey(join(BOARDS, 'builder'));
  const unpackedKey = keyOf(
    builder,
    kernel,
    wanted.unwanted,
    packages.map(({ sha256 }) => sha256),
  );
  const unpacked = await made(cacheDir, `${board}-packages`, unpackedKey, async (folder) => {
    onProgress(`Unpacking ${packages.length} Debian packages`);
    await unpackSystem(folder, packages, config);
  });
  const own = join(BOARDS, 'rootfs');
  const systemKey = keyOf(
    unpackedKey,
    await sourcesKey([
      own,
      LINKS,
      join(BOARDS, 'initramfs'),
      join(PROJECT, 'packaging'),
      ...agentSources(PROJECT),
    ]),
  );
  const system = await made(cacheDir, `${board}-system`, systemKey, async (folder) => {
    onProgress('Packing the system');
    await packSystem({ folder, unpacked, own, cacheDir, packages, config });
  });
  return {
    config,
    kernel: join(unpacked, 'kernel'),
    initramfs: join(system, 'initramfs'),
    system: join(system, 'system.erofs'),
    manifest: join(system, 'packages.json'),
    packages: join(unpacked, 'root'),
  };
}

/** `<folder>/root` with the packages and only the modules wanted, `<folder>/kernel`, `<folder>/modules.json`. */
async function unpackSystem(
  folder: string,
  packages: readonly PackageFile[],
  { kernel, packages: chosen }: ImageConfig,
): Promise<void> {
  const root = join(folder, 'root');
  await unpackPackages(packages, root, chosen.unwanted);
  const [version] = await readdir(join(root, 'usr/lib/modules'));
  if (version === undefined) throw new Error(`Cannot build: package ${kernel.package} holds no modules`);
  await copyFile(join(root, 'boot', `vmlinuz-${version}`), join(folder, 'kernel'));
  await run('rm', ['-rf', join(root, 'boot')]);
  await mkdir(join(root, 'boot'));
  const dependencies = await pruneModules(root, version, kernel.modules);
  await writeFile(join(folder, 'modules.json'), JSON.stringify({ version, dependencies: [...dependencies] }));
}

interface PackParts {
  folder: string;
  unpacked: string;
  own: string;
  cacheDir: string;
  packages: readonly PackageFile[];
  config: ImageConfig;
}

async function packSystem({ folder, unpacked, own, cacheDir, packages, config }: PackParts): Promise<void> {
  const root = join(folder, 'root');
  // Links cost nothing; what replaces a file of a package must not be written through one.
  await run('cp', ['-al', join(unpacked, 'root'), root]);
  await run('cp', ['-a', '--remove-destination', '--no-preserve=ownership', `${own}/.`, root]);
  await makeLinks(root);
  await placeAgent(PROJECT, join(cacheDir, 'npm'), join(root, 'opt/wherry'));
  await mkdir(join(root, 'etc/init.d'), { recursive: true });
  await cp(
    join(PROJECT, 'packaging/wherry-agent.service'),
    join(root, 'etc/systemd/system/wherry-agent.service'),
  );
  await cp(join(PROJECT, 'packaging/wherry-agent.init'), join(root, 'etc/init.d/wherry-agent'), { mode: 0 });
  await run('chmod', ['755', join(root, 'etc/init.d/wherry-agent')]);
  for (const point of ['proc', 'sys', 'dev', 'run', 'mnt', 'tmp', 'var', 'root', 'home', 'etc/wherry'])
    await mkdir(join(root, point), { recursive: true });
  const image = join(folder, 'system.erofs');
  await run('mkfs.erofs', ['--quiet', '--all-root', '-T', BUILT_AT, '-U', SYSTEM_UUID, image, root]);
  const modules = JSON.parse(await readFile(join(unpacked, 'modules.json'), 'utf8'));
  const first = await initramfs({
    init: join(BOARDS, 'initramfs/init'),
    busybox: join(root, 'usr/bin/busybox'),
    modulesDir: join(root, 'usr/lib/modules', modules.version),
    dependencies: new Map(modules.dependencies),
    early: config.kernel.early,
  });
  await writeFile(join(folder, 'initramfs'), first);
  const listed = packages.map(({ name, version, sha256, path }) => ({
    name,
    version,
    sha256,
    file: basename(path),
  }));
  await writeFile(join(folder, 'packages.json'), JSON.stringify(listed, undefined, 1));
  await run('rm', ['-rf', root]);
}

async function sourcesKey(paths: readonly string[]): Promise<string> {
  const keys = await Promise.all(
    paths.map(async (path) =>
      (await stat(path)).isDirectory() ? folderKey(path) : (await readFile(path)).toString('base64'),
    ),
  );
  return keyOf(keys);
}

/** A table of links in place of links: tools that walk the project would follow them out of it. */
async function makeLinks(root: string): Promise<void> {
  const lines = (await readFile(LINKS, 'utf8')).split('\n').filter((line) => line && !line.startsWith('#'));
  for (const line of lines) {
    const [path = '', target = ''] = line.split(' ');
    await mkdir(dirname(join(root, path)), { recursive: true });
    await rm(join(root, path), { force: true });
    await symlink(target, join(root, path));
  }
}
