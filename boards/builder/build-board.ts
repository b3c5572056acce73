import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadBoards } from '../../release/boards.ts';
import { type ImageConfig, loadImageConfig } from '../image-config.ts';
import { agentSources } from './agent-tree.ts';
import { fetchPackages, type PackageFile } from './apt.ts';
import { folderKey, keyOf, made } from './cache.ts';
import { compress } from './compress.ts';
import { writeDisk } from './disk-image.ts';
import { deviceTreesOf, firmwareFiles } from './firmware-files.ts';
import { pruneModules } from './kernel-modules.ts';
import { pruneFirmware, takeKernel } from './kernel-package.ts';
import { spdxDocument } from './spdx.ts';
import { overlays, packSystem, type Variant } from './system-image.ts';
import { unpackPackages } from './unpack.ts';

const BOARDS = join(import.meta.dirname, '..');
const PROJECT = join(BOARDS, '..');
const CONFIGS = join(PROJECT, 'board-configs');

export interface BuildBoardOptions {
  board: string;
  /** `development`: with a shell on the serial line and the port that carries commands. */
  variant?: Variant;
  /** Downloads and all that is made from them. */
  cacheDir?: string;
  onProgress?: (line: string) => void;
}

/** What is built of a board. Files of the cache: not to be written to. */
export interface BuiltBoard {
  board: string;
  variant: Variant;
  config: ImageConfig;
  /** The whole disk as it is before its first boot, sparse. */
  disk: string;
  /** What a system slot holds, and so what a release brings: the boot partition's FAT and the read-only root, EROFS. */
  boot: string;
  root: string;
  /** U-Boot, for an emulator; a board has it on its firmware partition. */
  bootloader: string;
  /** Every package with its version and digest: SPDX 2.3, JSON. */
  manifest: string;
  /** The packages, unpacked. */
  packages: string;
  /** Digest over all that it is made from. */
  key: string;
}

/** Builds a board's disk. `dist/agent` and `dist/cli` have been built. What has not changed is not made again. */
export async function buildBoard({
  board,
  variant = 'production',
  cacheDir = join(BOARDS, '.build'),
  onProgress = () => undefined,
}: BuildBoardOptions): Promise<BuiltBoard> {
  const config = await loadImageConfig(CONFIGS, board);
  const known = (await loadBoards(CONFIGS)).find(({ name }) => name === board);
  if (!known) throw new Error(`Cannot build board "${board}": ${CONFIGS} has no board of that name`);
  const { components = ['main'], kernel, packages: wanted, suite } = config;
  const packages = await fetchPackages({
    cacheDir: join(cacheDir, 'debian'),
    suite,
    components,
    architecture: 'arm64',
    packages: [kernel.package, ...wanted.boot, ...wanted.system, ...wanted.agent],
    onProgress,
  });
  const unpacking = await sourcesKey(UNPACKERS.map(inBuilder));
  const digests = packages.map(({ sha256 }) => sha256);
  const unpackedKey = keyOf(unpacking, kernel, deviceTreesOf(config), wanted.unwanted, wanted.boot, digests);
  const unpacked = await made(cacheDir, `${board}-packages`, unpackedKey, async (folder) => {
    onProgress(`Unpacking ${packages.length} Debian packages`);
    await unpackSystem(folder, packages, config);
  });
  const key = keyOf(
    unpackedKey,
    variant,
    config,
    known,
    await sourcesKey(ownSources(board, variant, config)),
  );
  const image = await made(cacheDir, `${board}-${variant}`, key, async (folder) => {
    onProgress('Packing the system');
    await packSystem(folder, { board: known, config, variant, unpacked, cacheDir });
    onProgress('Writing the disk');
    const slot = { boot: join(folder, 'boot.img'), root: join(folder, 'root.erofs') };
    const firmware = await firmwareFiles(join(CONFIGS, board), unpacked, config, variant);
    await writeDisk(join(folder, 'disk.img'), slot, firmware);
    await writeFile(join(folder, 'spdx.json'), await spdxDocument(PROJECT, board, packages));
  });
  return {
    board,
    variant,
    config,
    disk: join(image, 'disk.img'),
    boot: join(image, 'boot.img'),
    root: join(image, 'root.erofs'),
    bootloader: join(unpacked, 'boot', config.bootloader.file),
    manifest: join(image, 'spdx.json'),
    packages: join(unpacked, 'root'),
    key,
  };
}

/** The disk as one file to flash, compressed; its path. Made once for a build, which takes a minute or two. */
export async function compressedImage(
  { board, variant, disk, key }: BuiltBoard,
  cacheDir = join(BOARDS, '.build'),
  onProgress: (line: string) => void = () => undefined,
): Promise<string> {
  const name = `wherry-${board}-${variant}.img.zst`;
  const folder = await made(cacheDir, `${board}-image-${variant}`, key, async (work) => {
    onProgress('Compressing the image');
    await compress(disk, join(work, name));
  });
  return join(folder, name);
}

/**
 * `<folder>/root` with the packages and only the modules wanted, `boot`, `kernel`, `device-trees`,
 * `modules.json`, `modules.alias`.
 */
async function unpackSystem(
  folder: string,
  packages: readonly PackageFile[],
  config: ImageConfig,
): Promise<void> {
  const { kernel, packages: chosen } = config;
  const root = join(folder, 'root');
  const isForBoot = ({ name }: PackageFile): boolean => chosen.boot.includes(name);
  await unpackPackages(packages.filter(isForBoot), join(folder, 'boot'), []);
  await unpackPackages(
    packages.filter((each) => !isForBoot(each)),
    root,
    chosen.unwanted,
  );
  const version = await takeKernel(root, folder, kernel.package, deviceTreesOf(config));
  if (kernel.firmware) await pruneFirmware(root, kernel.firmware);
  const aliases = join(folder, 'modules.alias');
  const dependencies = await pruneModules(root, version, kernel.modules, aliases);
  await writeFile(join(folder, 'modules.json'), JSON.stringify({ version, dependencies: [...dependencies] }));
}

/** What makes the unpacked packages what they are. */
const UNPACKERS = ['build-board.ts', 'kernel-modules.ts', 'kernel-package.ts', 'unpack.ts'];
const inBuilder = (file: string): string => join(BOARDS, 'builder', file);

/** Files and folders that are ours: what is put on the board, and what puts it there. */
const ownSources = (board: string, variant: Variant, config: ImageConfig): string[] => [
  ...overlays(variant, config).flatMap(({ files, links }) => [files, links]),
  ...['builder', 'initramfs', 'uboot', 'layout.ts', 'fat.ts'].map((path) => join(BOARDS, path)),
  join(PROJECT, 'packaging'),
  join(CONFIGS, board),
  ...agentSources(PROJECT),
];

async function sourcesKey(paths: readonly string[]): Promise<string> {
  const keys = await Promise.all(
    paths.map(async (path) =>
      (await stat(path)).isDirectory() ? folderKey(path) : (await readFile(path)).toString('base64'),
    ),
  );
  return keyOf(keys);
}
