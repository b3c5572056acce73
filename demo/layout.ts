import { join } from 'node:path';
import type { DemoOptions } from './options.ts';

/** Where the demo keeps what. Three parties, three folders: none reads another's. */
export interface Layout {
  server: { dataDir: string; log: string; adminPassword: string };
  /** The release signer: its keys never enter the server's folder. */
  signer: { dir: string; keys: string; releases: string };
  /** Disks and consoles of the emulated board. */
  board: { dir: string; log: string };
  device: { dir: string; config: string; stateDir: string; runDir: string; socket: string; log: string };
}

export function layoutOf({ dataDir, instance }: DemoOptions): Layout {
  const device = join(dataDir, 'device');
  const signer = join(dataDir, 'signer');
  const runDir = `/run/wherry/${instance}`;
  return {
    server: {
      dataDir: join(dataDir, 'server'),
      log: join(dataDir, 'server.log'),
      adminPassword: join(dataDir, 'server/admin-password'),
    },
    signer: { dir: signer, keys: join(signer, 'keys'), releases: join(signer, 'releases') },
    board: { dir: join(dataDir, 'board'), log: join(dataDir, 'board.log') },
    device: {
      dir: device,
      config: join(device, 'agent.json'),
      stateDir: join(device, 'state'),
      runDir,
      socket: `${runDir}.sock`,
      log: join(dataDir, 'agent.log'),
    },
  };
}
