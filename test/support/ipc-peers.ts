// The same small program in C, Node and Python (test/ipc-peers/peer.c says what it does).
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { buildIpc, type IpcArch, ipcFolder } from '../../ipc/build.ts';
import { NODE, ROOT } from '../../scripts/setup.mjs';
import { type Ended, type IpcBench, outcome } from './ipc-programs.ts';

export const LANGUAGES = ['c', 'node', 'python'] as const;
export type Language = (typeof LANGUAGES)[number];

const ARCH = process.arch as IpcArch;
export const LIBRARY = ipcFolder(ARCH);
const PEERS = join(ROOT, 'test/ipc-peers');

/** Where the clients find the library, and the channels below `dir` as a service. */
export const clientEnvironment = (dir: string, service: string): NodeJS.ProcessEnv => ({
  WHERRY_IPC_DIR: dir,
  WHERRY_SERVICE: service,
  WHERRY_IPC_LIBRARY: LIBRARY,
  PYTHONPATH: LIBRARY,
});

export interface Peers {
  publish(language: Language, dir: string, service: string, ...args: (string | number)[]): Promise<Ended>;
  subscribe(language: Language, dir: string, service: string, ...args: (string | number)[]): Promise<Ended>;
}

export async function buildPeers(bench: IpcBench): Promise<Peers> {
  await buildIpc(() => {}, [ARCH]);
  const library = [join(LIBRARY, 'libwherry-ipc.a')];
  const program = await bench.compile({ name: 'peer', sources: ['../ipc-peers/peer.c'], library });
  const commands = {
    c: [program],
    node: [NODE, join(PEERS, 'peer.js')],
    python: ['python3', join(PEERS, 'peer.py')],
  };
  const as =
    (role: string) =>
    (language: Language, dir: string, service: string, ...args: (string | number)[]) =>
      outcome([...commands[language], role, ...args.map(String)], { env: clientEnvironment(dir, service) });
  return { publish: as('pub'), subscribe: as('sub') };
}

/** What a subscriber prints of the messages of one publisher. */
export function expectedLines(publisher: string, count: number, size: number): string[] {
  const data = Buffer.alloc(size);
  return Array.from({ length: count }, (_, i) => {
    for (let k = 0; k < size; k++) data[k] = 7 * k + (k >> 8) + 13 * i;
    return `${publisher} ${i} ${i} ${size} ${crc32(data).toString(16).padStart(8, '0')} 0`;
  });
}
