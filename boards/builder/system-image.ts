import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../images/run.ts';
import type { Board } from '../../protocol/board.ts';
import { makeFat } from '../fat.ts';
import type { ImageConfig } from '../image-config.ts';
import { LAYOUT_VARIABLES } from '../initramfs/layout.ts';
import { PARTITIONS, SECTOR } from '../layout.ts';
import { placeAgent } from './agent-tree.ts';
import { initramfs } from './initramfs.ts';
import { BUILT_AT, SYSTEM_UUID } from './reproducible.ts';

const BOARDS = join(import.meta.dirname, '..');
const PROJECT = join(BOARDS, '..');
const MIB = 1024 ** 2;
/** Room that a boot filesystem has beside its files. */
const BOOT_SLACK_BYTES = MIB;

export type Variant = 'production' | 'development';

/** What the board's own files are made of, in the order in which one replaces what another brings. */
export const overlays = (variant: Variant, { files }: ImageConfig): { files: string; links: string }[] => [
  { files: join(BOARDS, 'rootfs'), links: join(BOARDS, 'links.txt') },
  ...(files === undefined
    ? []
    : [{ files: join(BOARDS, files, 'rootfs'), links: join(BOARDS, files, 'links.txt') }]),
  ...(variant === 'development'
    ? [{ files: join(BOARDS, 'development/rootfs'), links: join(BOARDS, 'development/links.txt') }]
    : []),
];

export interface SystemParts {
  /** board.yaml: what the board's agent is told of it. */
  board: Board;
  config: ImageConfig;
  variant: Variant;
  /** `root`, `kernel`, `modules.json` of the packages. */
  unpacked: string;
  cacheDir: string;
}

/** What a slot holds: `<folder>/root.erofs` and `<folder>/boot.img`. The same for both slots. */
export async function packSystem(
  folder: string,
  { board, config, variant, unpacked, cacheDir }: SystemParts,
): Promise<void> {
  const root = join(folder, 'root');
  // Links cost nothing; what replaces a file of a package must not be written through one.
  await run('cp', ['-al', join(unpacked, 'root'), root]);
  for (const { files, links } of overlays(variant, config)) {
    await run('cp', ['-a', '--remove-destination', '--no-preserve=ownership', `${files}/.`, root]);
    await makeLinks(root, links);
  }
  await placeAgent(PROJECT, join(cacheDir, 'npm'), join(root, 'opt/wherry'));
  // Manual pages and completions, by the names under which man(1) and the shells look for them.
  await run('cp', ['-a', join(PROJECT, 'dist/cli/share'), join(root, 'usr')]);
  await placeUnits(root);
  await placeModuleList(root, config.kernel.load ?? []);
  await writeFile(join(root, 'usr/lib/wherry/board.json'), JSON.stringify(board, undefined, 1));
  for (const point of ['proc', 'sys', 'dev', 'run', 'mnt', 'tmp', 'var', 'root', 'home', 'etc/wherry'])
    await mkdir(join(root, point), { recursive: true });
  // Whatever the umask and whoever builds; and nothing on a board takes another user's rights.
  await run('chmod', ['-R', 'u+rwX,a+rX,go-w,u-s,g-s,-t', root]);
  await run('chmod', ['1777', join(root, 'tmp')]);
  const image = join(folder, 'root.erofs');
  await run('mkfs.erofs', ['--quiet', '--all-root', '-T', String(BUILT_AT), '-U', SYSTEM_UUID, image, root]);
  await packBoot(join(folder, 'boot.img'), root, unpacked, config);
  await run('rm', ['-rf', root]);
}

async function packBoot(image: string, root: string, unpacked: string, config: ImageConfig): Promise<void> {
  const modules = JSON.parse(await readFile(join(unpacked, 'modules.json'), 'utf8'));
  const first = await initramfs({
    init: join(BOARDS, 'initramfs/init'),
    grow: join(BOARDS, 'initramfs/grow'),
    layout: LAYOUT_VARIABLES,
    busybox: join(root, 'usr/bin/busybox'),
    modulesDir: join(root, 'usr/lib/modules', modules.version),
    dependencies: new Map(modules.dependencies),
    early: config.kernel.early,
  });
  const files: Record<string, Buffer> = {
    Image: await readFile(join(unpacked, 'kernel')),
    initramfs: first,
    'boot.env': Buffer.from(`cmdline=${config.kernel.commandLine.join(' ')}\n`),
  };
  for (const path of config.kernel.deviceTrees ?? [])
    files[path] = await readFile(join(unpacked, 'device-trees', path));
  const content = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  const bytes = Math.ceil((content + BOOT_SLACK_BYTES) / MIB) * MIB;
  const most = PARTITIONS['boot-a'].sectors * SECTOR;
  if (bytes > most)
    throw new Error(`Cannot build: the boot files take ${bytes} bytes; a boot slot has ${most}`);
  await makeFat(image, files, { label: 'WHERRY-BOOT', bytes, time: BUILT_AT });
}

/** What systemd-modules-load(8) loads. */
async function placeModuleList(root: string, names: readonly string[]): Promise<void> {
  const folder = join(root, 'etc/modules-load.d');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'board.conf'), names.map((name) => `${name}\n`).join(''));
}

async function placeUnits(root: string): Promise<void> {
  await mkdir(join(root, 'etc/init.d'), { recursive: true });
  const unit = 'wherry-agent.service';
  await cp(join(PROJECT, 'packaging', unit), join(root, 'etc/systemd/system', unit));
  const script = join(root, 'etc/init.d/wherry-agent');
  await writeFile(script, await readFile(join(PROJECT, 'packaging/wherry-agent.init')));
  await run('chmod', ['755', script]);
}

/** A table of links in place of links: tools that walk the project would follow them out of it. */
async function makeLinks(root: string, table: string): Promise<void> {
  const lines = (await readFile(table, 'utf8')).split('\n').filter((line) => line && !line.startsWith('#'));
  for (const line of lines) {
    const [path = '', target = ''] = line.split(' ');
    await mkdir(dirname(join(root, path)), { recursive: true });
    await rm(join(root, path), { force: true });
    await symlink(target, join(root, path));
  }
}
