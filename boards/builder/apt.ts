import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { debianSources } from '../../images/debian-sources.ts';
import { run } from '../../images/run.ts';
import { keyOf } from './cache.ts';

/** A package file in the cache. */
export interface PackageFile {
  name: string;
  version: string;
  path: string;
  sha256: string;
}

export interface PackageRequest {
  cacheDir: string;
  suite: string;
  components: readonly string[];
  architecture: string;
  /** Names; behind a slash, the suite that one comes from. */
  packages: readonly string[];
  onProgress(line: string): void;
}

/**
 * Resolves packages of another architecture with all they depend on and downloads them. apt checks signatures and
 * digests; nothing is installed and nothing of them runs. The answer is kept: the same request gives the same
 * versions until the cache is removed.
 */
export async function fetchPackages(request: PackageRequest): Promise<PackageFile[]> {
  const { cacheDir, suite, components, architecture, packages } = request;
  const key = keyOf(suite, components, architecture, packages);
  const resolved = join(cacheDir, `resolved-${key}.json`);
  const known = await readFile(resolved, 'utf8').catch(() => undefined);
  if (known !== undefined) {
    const files = JSON.parse(known) as PackageFile[];
    if (files.every(({ path }) => existsSync(path))) return files;
  }
  const files = await resolve(request);
  await writeFile(resolved, JSON.stringify(files, undefined, 1));
  return files;
}

async function resolve(request: PackageRequest): Promise<PackageFile[]> {
  const { cacheDir, packages, onProgress } = request;
  const options = await aptOptions(request);
  onProgress('Looking for Debian packages');
  await run('apt-get', [...options, 'update', '-q']);
  const install = ['install', '-y', '-qq', '--no-install-recommends', ...packages];
  // Seen from an empty archive: apt does not name what it has already.
  const none = await mkdtemp(join(cacheDir, 'none-'));
  await mkdir(join(none, 'partial'));
  const empty = ['-o', `Dir::Cache::archives=${none}`];
  const printed = await run('apt-get', [...options, ...empty, '--print-uris', ...install]).finally(() =>
    rm(none, { recursive: true }),
  );
  const found = parseUris(printed);
  const files = found.map((each) => ({ ...each, path: join(cacheDir, 'archives', each.file) }));
  const missing = files.filter(({ path }) => !existsSync(path));
  if (missing.length > 0) {
    const mib = Math.ceil(missing.reduce((sum, { size }) => sum + size, 0) / 1024 ** 2);
    onProgress(`Downloading ${missing.length} Debian packages, ${mib} MiB`);
    await run('apt-get', [...options, '--download-only', ...install]);
  }
  return files.map(({ name, version, path, sha256 }) => ({ name, version, path, sha256 }));
}

/** A world of apt's own: the host's mirror, an empty system of the wanted architecture, our cache. */
async function aptOptions(request: PackageRequest): Promise<string[]> {
  const { cacheDir, architecture } = request;
  const lists = join(cacheDir, 'lists');
  const status = join(cacheDir, 'status');
  const sources = join(cacheDir, 'sources.list.d');
  for (const folder of [join(lists, 'partial'), join(cacheDir, 'archives/partial'), sources])
    await mkdir(folder, { recursive: true });
  await writeFile(status, '');
  await writeFile(join(sources, 'debian.sources'), sourcesFor(await debianSources(), request));
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
    'Acquire::ForceHash': 'SHA256',
    'Acquire::Languages': 'none',
    'Dir::State': cacheDir,
    'Dir::State::lists': lists,
    'Dir::State::status': status,
    'Dir::Cache': cacheDir,
    'Dir::Cache::archives': join(cacheDir, 'archives'),
    'Dir::Etc': cacheDir,
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': sources,
    'Dir::Etc::Parts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Debug::NoLocking': '1',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** The host's sources, of Debian 12 and `main`, as those of another suite, with its backports where one is asked for. */
export function sourcesFor(
  host: string,
  { suite, components, packages }: Pick<PackageRequest, 'suite' | 'components' | 'packages'>,
): string {
  const backports = `${suite}-backports`;
  const wantsThem = packages.some((name) => name.endsWith(`/${backports}`));
  return host
    .replaceAll('bookworm', suite)
    .replaceAll(/^Components: main$/gm, `Components: ${components.join(' ')}`)
    .replaceAll(new RegExp(`^(Suites: .*\\b${suite}(?!-).*)$`, 'gm'), wantsThem ? `$1 ${backports}` : '$1');
}

/** Lines "'<uri>' <file> <size> <hash type>:<hash>". */
export function parseUris(
  text: string,
): { name: string; version: string; file: string; size: number; sha256: string }[] {
  return text.split('\n').flatMap((line) => {
    const match = /^'\S+' (([^_\s]+)_([^_\s]+)_[^_\s]+\.deb) (\d+) SHA256:([0-9a-f]{64})$/.exec(line.trim());
    if (!match) return [];
    const [, file = '', name = '', version = '', size, sha256 = ''] = match;
    return [{ name, version: decodeURIComponent(version), file, size: Number(size), sha256 }];
  });
}
