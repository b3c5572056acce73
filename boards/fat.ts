import { execFile } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Paths in the filesystem, folders by "/", and what is in the files. */
export type FatFiles = Readonly<Record<string, Buffer>>;

export interface FatOptions {
  /** Eleven characters at most. */
  label: string;
  /** Of the whole filesystem. */
  bytes: number;
  /** Seconds since 1970: the time of every file. */
  time: number;
}

/** Makes a FAT filesystem in a file, without a mount: the same input gives the same bytes. */
export async function makeFat(
  image: string,
  files: FatFiles,
  { label, bytes, time }: FatOptions,
): Promise<void> {
  await writeFile(image, '');
  await truncate(image, bytes);
  const geometry = ['-F', '16', '-S', '512', '-s', '16', '-r', '512', '-h', '0'];
  await tool('mkfs.fat', ['--invariant', ...geometry, '-i', '57485259', '-n', label, image], time);
  for (const folder of foldersOf(Object.keys(files))) await tool('mmd', ['-i', image, `::${folder}`], time);
  await putFiles(image, files, { time });
}

/**
 * Writes files, into folders that are there, of a FAT filesystem that begins `offset` bytes into a file or a device.
 * What is there of the same name is replaced. `time`: seconds since 1970.
 */
export async function putFiles(
  image: string,
  files: FatFiles,
  { offset = 0, time = Math.floor(Date.now() / 1000) }: { offset?: number; time?: number } = {},
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'wherry-fat-'));
  try {
    for (const path of Object.keys(files).sort()) {
      const file = join(work, 'file');
      await writeFile(file, files[path] ?? '');
      await tool('mcopy', ['-o', '-i', `${image}@@${offset}`, file, `::${path}`], time);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Content of a file of a FAT filesystem; undefined: it has none of this name. */
export async function readFatFile(image: string, path: string, offset = 0): Promise<Buffer | undefined> {
  const options = { encoding: 'buffer', maxBuffer: 256 * 1024 ** 2 } as const;
  try {
    const { stdout } = await execute('mcopy', ['-i', `${image}@@${offset}`, `::${path}`, '-'], options);
    return stdout;
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr).trim();
    if (said.includes('not found')) return undefined;
    throw new Error(`Cannot read ${path} of ${image}: ${said}`, { cause: error });
  }
}

async function tool(command: string, args: string[], time: number): Promise<void> {
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC', SOURCE_DATE_EPOCH: String(time) };
  await execute(command, args, { env }).catch((error: { stderr?: string; code?: unknown }) => {
    const what = error.code === 'ENOENT' ? 'it is not installed' : error.stderr?.trim();
    throw new Error(`Cannot run ${command}: ${what}`, { cause: error });
  });
}

/** Every folder of the paths, those above first. */
function foldersOf(paths: readonly string[]): string[] {
  const folders = new Set<string>();
  for (const path of paths)
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  return [...folders].sort();
}
