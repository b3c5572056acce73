import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../agent/config.ts';
import type { Release } from '../fleet-server/rest/api.ts';
import { loadBoards } from '../release/boards.ts';
import { buildRelease } from '../release/build.ts';
import { initKeys } from '../release/keys.ts';
import { pushRelease } from '../release/push.ts';
import { signRelease } from '../release/sign.ts';
import { ROOT } from '../scripts/setup.mjs';
import type { Layout } from './layout.ts';
import type { ServerClient } from './server-client.ts';

export const BOARDS_DIR = join(ROOT, 'board-configs');
export const IMAGES_DIR = join(ROOT, 'images/.build');
export const DEVICE_NAME = 'demo-device';

type Say = (line: string) => void;

/** The server made it at its first start. */
export const adminPassword = ({ server }: Layout): string =>
  readFileSync(server.adminPassword, 'utf8').trim();

/** Makes the signer's keys once. The server gives only the public halves of its online keys. */
export async function signerKeys({ signer }: Layout, client: ServerClient, say: Say): Promise<void> {
  if (existsSync(join(signer.keys, 'repository/1.root.json'))) return;
  say(`Making demo release keys in ${signer.keys} (one of each: a real fleet wants two of three, offline)`);
  mkdirSync(signer.dir, { recursive: true, mode: 0o700 });
  const { onlineKeys } = await client.repository();
  await initKeys({ keysDir: signer.keys, onlineKeys, expiresDays: 365 });
}

/** Builds, signs and pushes the sample releases the server does not have yet; resolves with all it has. */
export async function sampleReleases({ signer }: Layout, client: ServerClient, say: Say): Promise<Release[]> {
  const known = await client.releases();
  for (const [file, version] of [
    ['release.yaml', '1.0.0'],
    ['release-2.yaml', '2.0.0'],
  ] as const) {
    if (known.some((release) => release.name === 'demo' && release.version === version)) continue;
    const dir = join(signer.releases, `demo-${version}`);
    say(`Building, signing and pushing release demo ${version}`);
    await buildRelease({
      sourceFile: join(ROOT, 'images/demo', file),
      outDir: dir,
      boardsDir: BOARDS_DIR,
      cacheDir: join(signer.releases, '.cache'),
    });
    await signRelease({ dir, keysDir: signer.keys });
    const token = await client.apiToken(`demo signer ${version}`);
    await pushRelease({ dir, server: client.url, token });
  }
  return client.releases();
}

/** Writes the device's configuration; a device that has enrolled keeps its identity and needs no new token. */
export async function deviceConfig(
  { device, signer }: Layout,
  instance: string,
  client: ServerClient,
): Promise<void> {
  mkdirSync(device.dir, { recursive: true, mode: 0o700 });
  const trustRoot = join(device.dir, 'factory-root.json');
  if (!existsSync(trustRoot)) copyFileSync(join(signer.keys, 'repository/1.root.json'), trustRoot);
  const name = process.arch === 'arm64' ? 'generic-arm64' : 'generic-amd64';
  const board = (await loadBoards(BOARDS_DIR)).find((board) => board.name === name);
  if (!board) throw new Error(`Cannot find board ${name} in ${BOARDS_DIR}`);
  const isEnrolled = existsSync(join(device.stateDir, 'identity/identity.json'));
  const config: AgentConfig = {
    name: DEVICE_NAME,
    board,
    stateDir: device.stateDir,
    runDir: device.runDir,
    socket: device.socket,
    trustRoot,
    ...(!isEnrolled && { join: await client.joinString() }),
    runtime: 'crun',
    instance,
    onStop: 'stop-services',
    reboot: 'never',
    // It runs on somebody's own machine, which is not to reboot; a terminal is something to see.
    remote: { reboot: false, exec: true },
    logLevel: 'info',
  };
  writeFileSync(device.config, JSON.stringify(config, null, 2), { mode: 0o600 });
}
