import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { TufClient } from '../../agent/update/tuf/client.ts';
import { replaceFile } from '../../protocol/durable-file.ts';
import { download } from './download.ts';
import { HttpMetadata } from './http-files.ts';
import { MetadataFolder } from './metadata-folder.ts';

/**
 * The client interface of the public tuf-conformance suite (its CLIENT-CLI.md) over the updater that the agent runs:
 *
 *   npm run -s tuf-client -- --metadata-dir D init ROOT
 *   npm run -s tuf-client -- --metadata-dir D --metadata-url U refresh
 *   npm run -s tuf-client -- --metadata-dir D --metadata-url U --target-name P --target-base-url B --target-dir T download
 *
 * Exit code 0 or 1; the reason goes to stderr. D holds unversioned files, delegated role names URL-encoded.
 */
const TIMEOUT_MS = 60_000;
const text = { type: 'string' } as const;
const OPTIONS = {
  'metadata-dir': text,
  'metadata-url': text,
  'target-name': text,
  'target-base-url': text,
  'target-dir': text,
};

export interface ClientIo {
  /** Unix milliseconds. */
  now: number;
  /** What relative paths start from. */
  cwd: string;
  stderr: { write(text: string): void };
}

export async function runTufClient(args: string[], io: ClientIo): Promise<0 | 1> {
  try {
    await run(args, io);
    return 0;
  } catch (error) {
    io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function run(args: string[], { now, cwd, stderr }: ClientIo): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  const need = (option: keyof typeof OPTIONS): string => {
    const value = values[option];
    if (value === undefined) throw new Error(`Cannot go on: --${option} is not given`);
    return value;
  };
  const folder = resolve(cwd, need('metadata-dir'));
  const [command, operand] = positionals;
  if (command === 'init' && operand !== undefined) return init(folder, resolve(cwd, operand));
  if (command !== 'refresh' && command !== 'download')
    throw new Error('Cannot go on: wanted init ROOT, refresh or download');
  const client = new TufClient({
    source: new HttpMetadata(need('metadata-url')),
    store: new MetadataFolder(folder),
    log: { info: () => {}, warn: (_fields, message) => stderr.write(`${message}\n`) },
  });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const trusted = await client.refresh(now, signal);
  if (command === 'refresh') return;
  const found = await client.find(need('target-name'), trusted, now, signal);
  if (found.outcome !== 'found') throw new Error(`Cannot download ${need('target-name')}: ${found.outcome}`);
  const hasHashPrefix = trusted.root.signed.consistentSnapshot;
  const to = { baseUrl: need('target-base-url'), folder: resolve(cwd, need('target-dir')), hasHashPrefix };
  await download(found.target, to, signal);
}

/** Trusts what is there: whether it holds is seen at the first refresh. */
async function init(folder: string, root: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await replaceFile(join(folder, 'root.json'), await readFile(root));
}

if (import.meta.main) {
  // npm runs scripts in the package's folder and tells here where it was called.
  const cwd = process.env['INIT_CWD'] ?? process.cwd();
  process.exitCode = await runTufClient(process.argv.slice(2), {
    now: Date.now(),
    cwd,
    stderr: process.stderr,
  });
}
