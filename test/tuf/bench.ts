import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TufSimulator } from '../support/tuf-simulator.ts';
import { runTufClient } from './client.ts';
import { quoteRole } from './role-names.ts';

/** The conformance client, a folder of its own, and a repository simulated over HTTP. */
export interface ClientBench {
  repository: TufSimulator;
  /** Of the client's last run: what it said. */
  said: string;
  metadataDir: string;
  targetsDir: string;
  url: string;
  init(root?: string): Promise<number>;
  refresh(now?: number): Promise<number>;
  download(target: string, now?: number): Promise<number>;
  text(role: string): Promise<string | undefined>;
  version(role: string): Promise<number | undefined>;
  /** `root 2`, `timestamp 1`, …, by file. */
  trusted(): Promise<string[]>;
  downloaded(): Promise<string[]>;
  close(): Promise<void>;
}

export async function openBench(): Promise<ClientBench> {
  const folder = await mkdtemp(join(tmpdir(), `wherry-tuf-client-${process.pid}-`));
  const repository = new TufSimulator();
  const url = await repository.listen();
  const metadataDir = join(folder, 'metadata');
  const targetsDir = join(folder, 'targets');
  const run = async (args: string[], now = Date.now()): Promise<number> => {
    bench.said = '';
    const stderr = { write: (words: string) => void (bench.said += words) };
    return runTufClient(['--metadata-dir', metadataDir, ...args], { now, cwd: folder, stderr });
  };
  const text = async (role: string) =>
    readFile(join(metadataDir, `${quoteRole(role)}.json`), 'utf8').catch(() => undefined);
  const bench: ClientBench = {
    repository,
    said: '',
    metadataDir,
    targetsDir,
    url,
    async init(root = repository.served['root']?.[0] ?? '') {
      await writeFile(join(folder, 'initial.json'), root);
      return run(['init', join(folder, 'initial.json')]);
    },
    refresh: (now) => run(['--metadata-url', `${url}/metadata/`, 'refresh'], now),
    download: (target, now) => {
      const to = ['--target-base-url', `${url}/targets/`, '--target-dir', targetsDir];
      return run(['--metadata-url', `${url}/metadata/`, '--target-name', target, ...to, 'download'], now);
    },
    text,
    async version(role) {
      const is = await text(role);
      return is === undefined ? undefined : JSON.parse(is).signed.version;
    },
    async trusted() {
      const files = (await readdir(metadataDir)).filter((file) => file.endsWith('.json')).sort();
      return Promise.all(
        files.map(async (file) => {
          const { signed } = JSON.parse(await readFile(join(metadataDir, file), 'utf8'));
          return `${file.slice(0, -'.json'.length)} ${signed.version}`;
        }),
      );
    },
    async downloaded() {
      const files = await readdir(targetsDir).catch(() => []);
      return Promise.all(files.sort().map((file) => readFile(join(targetsDir, file), 'utf8')));
    },
    async close() {
      await repository.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return bench;
}
