import { execFile } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  globSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianSources } from '../images/debian-sources.ts';
import { verityOf } from '../protocol/fsverity.ts';
import { LayerCache } from '../release/layer/convert.ts';
import { told } from './progress.ts';

/** Two versions of an image layer, as EROFS blobs. */
export interface BlobPair {
  name: string;
  old: string;
  next: string;
}

/** The machine's own, and that of the boards: packages are only unpacked, so any will do. */
const DEBIAN = { security: process.arch === 'x64' ? 'amd64' : process.arch, security_arm64: 'arm64' };
const PACKAGES =
  'base-files,libc6,libstdc++6,bash,coreutils,perl-base,ca-certificates,curl,openssl,python3,nginx-light,sqlite3,tzdata';
/** As images leave them out. */
const LEFT_OUT = ['dev', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info'];
/** The files of one package, OpenSSL's library. */
const ONE_PACKAGE = ['libssl.so.3', 'libcrypto.so.3', 'engines-3', 'ossl-modules'];
const NODES = ['20.19.6', '20.20.0'];
/** A release of an app: a line of its own code, and one dependency. */
const APPS = [
  {
    code: "export const greeting = 'hello';\n",
    packages: { fastify: '5.4.0', mqtt: '5.13.1', ajv: '8.17.1' },
  },
  {
    code: "export const greeting = 'hullo';\n",
    packages: { fastify: '5.5.0', mqtt: '5.13.1', ajv: '8.17.1' },
  },
];

const execute = promisify(execFile);
const run = (program: string, args: string[], cwd: string) => execute(program, args, { cwd });

/** Real packages of two dates, from the registries that this machine is set up for. What is there is not made again. */
export async function updatePairs(folder: string): Promise<BlobPair[]> {
  const sources = await debianSources();
  const roots = Object.entries(DEBIAN).flatMap(([name, arch]) => [
    { name: `${name}-old`, arch, sources: releasedOnly(sources) },
    { name: `${name}-new`, arch, sources },
  ]);
  // Two at a time: the one waits for the network while the other unpacks.
  for (let next = 0; next < roots.length; next += 2)
    await Promise.all(roots.slice(next, next + 2).map((root) => debianRoot(folder, root)));
  await onePackage(folder);
  for (const version of NODES) await nodeRoot(folder, version);
  for (const [place, app] of APPS.entries()) await appRoot(folder, `app-${place}`, app);
  const pair = async (name: string, old: string, next: string): Promise<BlobPair> => ({
    name,
    old: await erofs(folder, old),
    next: await erofs(folder, next),
  });
  const debian = [];
  for (const name of Object.keys(DEBIAN)) debian.push(await pair(name, `${name}-old`, `${name}-new`));
  return [
    ...debian,
    await pair('one_package', 'security-old', 'one-package'),
    await pair('app_layer', 'app-0', 'app-1'),
    await pair('node_binary', `node-${NODES[0]}`, `node-${NODES[1]}`),
  ];
}

/** Debian 12 as it was at its last point release: without what came since. */
function releasedOnly(sources: string): string {
  const stanzas = sources.split('\n\n').filter((stanza) => !stanza.includes('-security'));
  return stanzas.map((stanza) => stanza.replaceAll(/ ?bookworm-[a-z]+/g, '')).join('\n\n');
}

/** A folder that is there is whole: it is filled under another name. */
async function filled(folder: string, name: string, fill: (root: string) => Promise<void>): Promise<void> {
  const root = join(folder, name);
  if (existsSync(root)) return;
  rmSync(`${root}.partial`, { recursive: true, force: true });
  mkdirSync(`${root}.partial`);
  await told(`getting ${name}`, () => fill(`${root}.partial`));
  renameSync(`${root}.partial`, root);
}

interface DebianRoot {
  name: string;
  arch: string;
  sources: string;
}

/** Unpacked only: no foreign code runs. */
async function debianRoot(folder: string, { name, arch, sources }: DebianRoot): Promise<void> {
  await filled(folder, name, async (root) => {
    const [tar, list] = [join(folder, `${name}.tar`), join(folder, `${name}.sources`)];
    writeFileSync(list, sources);
    const options = [`--architectures=${arch}`, '--variant=extract', `--include=${PACKAGES}`];
    await run('mmdebstrap', ['--quiet', ...options, 'bookworm', tar, list], folder);
    const leftOut = LEFT_OUT.map((path) => `--exclude=./${path}/*`);
    await run('tar', ['-xf', tar, '-C', root, ...leftOut], folder);
    rmSync(tar);
  });
}

/** The old tree with one package of the new. */
async function onePackage(folder: string): Promise<void> {
  await filled(folder, 'one-package', async (root) => {
    const [old, next] = [join(folder, 'security-old'), join(folder, 'security-new')];
    await run('cp', ['-a', `${old}/.`, root], folder);
    for (const name of ONE_PACKAGE) {
      const [triplet = ''] = globSync(`usr/lib/*-linux-gnu/${name}`, { cwd: next });
      if (triplet === '') throw new Error(`Cannot find ${name} in the new tree`);
      rmSync(join(root, triplet), { recursive: true, force: true });
      await run('cp', ['-a', join(next, triplet), join(root, triplet)], folder);
    }
  });
}

async function nodeRoot(folder: string, version: string): Promise<void> {
  await filled(folder, `node-${version}`, async (root) => {
    const usr = join(root, 'usr');
    mkdirSync(usr);
    await unpack(folder, `node-linux-${process.arch}`, version, usr, ['package/bin/node']);
  });
}

async function appRoot(
  folder: string,
  name: string,
  { code, packages }: (typeof APPS)[number],
): Promise<void> {
  await filled(folder, name, async (root) => {
    const app = join(root, 'app');
    mkdirSync(app);
    writeFileSync(join(app, 'index.js'), code);
    for (const [dependency, version] of Object.entries(packages)) {
      const place = join(app, 'node_modules', dependency);
      mkdirSync(place, { recursive: true });
      await unpack(folder, dependency, version, place);
    }
  });
}

async function unpack(
  folder: string,
  name: string,
  version: string,
  place: string,
  only: string[] = [],
): Promise<void> {
  await run('npm', ['pack', '--silent', `${name}@${version}`], folder);
  const archive = `${name}-${version}.tgz`;
  await run('tar', ['-xzf', archive, '--strip-components=1', '-C', place, ...only], folder);
  rmSync(join(folder, archive));
}

/** As the release tool makes them. */
async function erofs(folder: string, name: string): Promise<string> {
  const [tar, blob] = [join(folder, `${name}.tar`), join(folder, `${name}.blob`)];
  if (existsSync(blob)) return blob;
  return await told(`writing ${name} as EROFS`, async () => {
    await run('tar', ['--sort=name', '--format=posix', '-cf', tar, '-C', join(folder, name), '.'], folder);
    const cache = new LayerCache(join(folder, 'layers'));
    const { sha256: diffId } = await verityOf(createReadStream(tar));
    const { verity } = await cache.convert({ diffId, open: () => createReadStream(tar) });
    rmSync(tar);
    renameSync(cache.blobPath(verity), blob);
    return blob;
  });
}
