import { execFileSync } from 'node:child_process';
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
import { debianSources } from '../images/debian-sources.ts';
import { verityOf } from '../protocol/fsverity.ts';
import { LayerCache } from '../release/layer/convert.ts';

/** Two versions of an image layer, as EROFS blobs. */
export interface BlobPair {
  name: string;
  old: string;
  next: string;
}

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

function run(program: string, args: string[], cwd: string): void {
  execFileSync(program, args, {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Real packages of two dates, from the registries that this machine is set up for. */
export async function updatePairs(folder: string): Promise<BlobPair[]> {
  const sources = await debianSources();
  debianRoot(folder, 'debian-old', releasedOnly(sources));
  debianRoot(folder, 'debian-new', sources);
  onePackage(folder);
  for (const version of NODES) nodeRoot(folder, version);
  for (const [place, app] of APPS.entries()) appRoot(folder, `app-${place}`, app);
  const pair = async (name: string, old: string, next: string): Promise<BlobPair> => ({
    name,
    old: await erofs(folder, old),
    next: await erofs(folder, next),
  });
  return [
    await pair('security', 'debian-old', 'debian-new'),
    await pair('one_package', 'debian-old', 'debian-one'),
    await pair('app_layer', 'app-0', 'app-1'),
    await pair('node_binary', `node-${NODES[0]}`, `node-${NODES[1]}`),
  ];
}

/** Debian 12 as it was at its last point release: without what came since. */
function releasedOnly(sources: string): string {
  const stanzas = sources.split('\n\n').filter((stanza) => !stanza.includes('-security'));
  return stanzas.map((stanza) => stanza.replaceAll(/ ?bookworm-[a-z]+/g, '')).join('\n\n');
}

/** Unpacked only: no foreign code runs. */
function debianRoot(folder: string, name: string, sources: string): void {
  const [root, tar, list] = [
    join(folder, name),
    join(folder, `${name}.tar`),
    join(folder, `${name}.sources`),
  ];
  if (existsSync(root)) return;
  writeFileSync(list, sources);
  const options = ['--quiet', '--variant=extract', `--include=${PACKAGES}`];
  run('mmdebstrap', [...options, 'bookworm', tar, list], folder);
  mkdirSync(root);
  run('tar', ['-xf', tar, '-C', root, ...LEFT_OUT.map((path) => `--exclude=./${path}/*`)], folder);
  rmSync(tar);
}

/** The old tree with one package of the new. */
function onePackage(folder: string): void {
  const root = join(folder, 'debian-one');
  if (existsSync(root)) return;
  run('cp', ['-a', join(folder, 'debian-old'), root], folder);
  for (const name of ONE_PACKAGE) {
    const [triplet = ''] = globSync(`usr/lib/*-linux-gnu/${name}`, { cwd: join(folder, 'debian-new') });
    if (triplet === '') throw new Error(`Cannot find ${name} in the new tree`);
    rmSync(join(root, triplet), { recursive: true, force: true });
    run('cp', ['-a', join(folder, 'debian-new', triplet), join(root, triplet)], folder);
  }
}

function nodeRoot(folder: string, version: string): void {
  const root = join(folder, `node-${version}`, 'usr');
  if (existsSync(root)) return;
  mkdirSync(root, { recursive: true });
  unpack(folder, `node-linux-${process.arch}`, version, root, ['package/bin/node']);
}

function appRoot(folder: string, name: string, { code, packages }: (typeof APPS)[number]): void {
  const app = join(folder, name, 'app');
  if (existsSync(app)) return;
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, 'index.js'), code);
  for (const [dependency, version] of Object.entries(packages)) {
    const place = join(app, 'node_modules', dependency);
    mkdirSync(place, { recursive: true });
    unpack(folder, dependency, version, place);
  }
}

function unpack(folder: string, name: string, version: string, place: string, only: string[] = []): void {
  run('npm', ['pack', '--silent', `${name}@${version}`], folder);
  const archive = `${name}-${version}.tgz`;
  run('tar', ['-xzf', archive, '--strip-components=1', '-C', place, ...only], folder);
  rmSync(join(folder, archive));
}

/** As the release tool makes them. */
async function erofs(folder: string, name: string): Promise<string> {
  const [tar, blob] = [join(folder, `${name}.tar`), join(folder, `${name}.blob`)];
  if (existsSync(blob)) return blob;
  run('tar', ['--sort=name', '--format=posix', '-cf', tar, '-C', join(folder, name), '.'], folder);
  const cache = new LayerCache(join(folder, 'layers'));
  const { sha256: diffId } = await verityOf(createReadStream(tar));
  const { verity } = await cache.convert({ diffId, open: () => createReadStream(tar) });
  rmSync(tar);
  renameSync(cache.blobPath(verity), blob);
  return blob;
}
