// Bundles the agent to plain JavaScript (no type stripping and one file on the device: less memory, quicker start)
// and builds the web UI. Each is skipped while its inputs are unchanged.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type InlineConfig } from 'vite';
import { agentBundle } from './agent-bundle.ts';
import { cliBundle } from './cli-bundle.ts';
import { ROOT, say } from './setup.mjs';

interface Target {
  name: string;
  inputs: string[];
  stamp: string;
  config: InlineConfig;
}

const agent: Target = {
  name: 'agent',
  inputs: [
    'agent',
    'protocol',
    'package-lock.json',
    'scripts/build.ts',
    'scripts/agent-bundle.ts',
    'scripts/compiled-schemas.ts',
  ],
  stamp: join(ROOT, 'dist/agent/.inputs'),
  config: agentBundle,
};

/** Made with the agent: a device holds both. */
const cli: Target = {
  name: 'command line',
  inputs: [...agent.inputs, 'scripts/cli-bundle.ts', 'package.json'],
  stamp: join(ROOT, 'dist/cli/.inputs'),
  config: cliBundle,
};

const web: Target = {
  name: 'web UI',
  inputs: [
    'fleet-server/web',
    'fleet-server/rest/api.ts',
    'fleet-server/rest/api-parts.ts',
    'fleet-server/rest/api-rollouts.ts',
    'protocol',
    'package-lock.json',
    'scripts/build.ts',
  ],
  stamp: join(ROOT, 'fleet-server/web/dist/.inputs'),
  config: {
    root: join(ROOT, 'fleet-server/web'),
    configFile: join(ROOT, 'fleet-server/web/vite.config.ts'),
    logLevel: 'warn',
  },
};

/** Files below a folder, or the file itself, without what a build makes. */
function filesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/\/(?:dist|node_modules)\//.test(file))
    .sort();
}

function digestOf(inputs: string[]): string {
  const digest = createHash('sha256');
  for (const input of inputs) {
    const path = join(ROOT, input);
    for (const file of /\.\w+$/.test(input) ? [path] : filesOf(path))
      digest.update(`${relative(ROOT, file)}\0`).update(readFileSync(file));
  }
  return digest.digest('hex');
}

async function buildTarget(
  { name, inputs, stamp, config }: Target,
  onProgress: (line: string) => void,
): Promise<void> {
  const digest = digestOf(inputs);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  onProgress(`Building the ${name}`);
  await buildForUse(config);
  mkdirSync(join(stamp, '..'), { recursive: true });
  writeFileSync(stamp, digest);
}

/** Also where a test asks for it: what stands in the folder is what the next `npm start` serves. */
async function buildForUse(config: InlineConfig): Promise<void> {
  const before = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = 'production';
  try {
    await build(config);
  } finally {
    if (before === undefined) delete process.env['NODE_ENV'];
    else process.env['NODE_ENV'] = before;
  }
}

/** `dist/agent/main.js`. */
export const buildAgent = (onProgress: (line: string) => void): Promise<void> =>
  buildTarget(agent, onProgress);
/** `dist/cli`: the command line of a device. */
export const buildCli = (onProgress: (line: string) => void): Promise<void> => buildTarget(cli, onProgress);
/** Both: what a board's system image holds. */
export const buildForDevice = async (onProgress: (line: string) => void): Promise<void> => {
  await buildAgent(onProgress);
  await buildCli(onProgress);
};
/** `fleet-server/web/dist`. */
export const buildWeb = (onProgress: (line: string) => void): Promise<void> => buildTarget(web, onProgress);

if (import.meta.main) {
  await buildForDevice(say);
  await buildWeb(say);
}
