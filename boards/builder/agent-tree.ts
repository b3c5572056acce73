import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Platform } from '../../protocol/manifest.ts';
import { placeNode } from './node-binary.ts';

/** What of the project is on a device, by path below it; dist/agent is made by scripts/build.ts. */
const FILES = [
  'bin/wherry-agent',
  'bin/choose-agent',
  'dist/agent',
  'node_modules/better-sqlite3/package.json',
  'node_modules/better-sqlite3/lib',
];
const NATIVE: Readonly<Record<Platform, string>> = {
  'linux/amd64': 'node_modules/better-sqlite3/prebuilds/linux-x64.node',
  'linux/arm64': 'node_modules/better-sqlite3/prebuilds/linux-arm64.node',
};

/** The command line, which a system image has and an agent that a release brings does not: its calls only ever grow. */
const CLI_FILES = ['bin/wherry', 'dist/cli'];

/** /opt/wherry: the bundled agent, its one native module, the command line and Node. */
export async function placeAgent(projectDir: string, cacheDir: string, target: string): Promise<void> {
  await placeAgentFiles(projectDir, target, 'linux/arm64');
  for (const path of CLI_FILES) await cp(join(projectDir, path), join(target, path), { recursive: true });
  await placeNode(projectDir, cacheDir, join(target, 'node_modules/.bin'));
}

/** The same without Node. */
export async function placeAgentFiles(projectDir: string, target: string, platform: Platform): Promise<void> {
  for (const path of [...FILES, NATIVE[platform]]) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await cp(join(projectDir, path), join(target, path), { recursive: true });
  }
  const { name, version } = JSON.parse(await readFile(join(projectDir, 'package.json'), 'utf8'));
  await writeFile(join(target, 'package.json'), JSON.stringify({ name, version, type: 'module' }));
}

/** The files whose change makes another tree. */
export const agentSources = (projectDir: string): string[] =>
  [...FILES, ...CLI_FILES, NATIVE['linux/arm64']].map((path) => join(projectDir, path));
