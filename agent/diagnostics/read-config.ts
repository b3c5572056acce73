import { readFileSync } from 'node:fs';
import { type AgentConfig, loadConfig } from '../config.ts';

export interface ReadConfig {
  config: AgentConfig;
  /** Why the agent would not start with it; `config` then holds what could be made of it, and the usual for the rest. */
  fault: string | undefined;
}

/** As the images and docs/device.md have it. */
const USUAL: AgentConfig = {
  name: 'unknown',
  board: {
    name: 'unknown',
    title: 'unknown',
    platform: process.arch === 'arm64' ? 'linux/arm64' : 'linux/amd64',
    memory: '1GiB',
    cpus: 1,
    reserve: { system: '0B', agent: '0B' },
  },
  stateDir: '/var/lib/wherry',
  runDir: '/run/wherry/agent',
  socket: '/run/wherry/agent.sock',
  trustRoot: '/etc/wherry/root.json',
  runtime: 'crun',
  instance: 'agent',
  onStop: 'keep-services',
  logLevel: 'info',
  reboot: 'never',
};
const PATHS = ['stateDir', 'runDir', 'socket', 'trustRoot'] as const;
const TEXTS = ['name', 'instance', 'runtime', 'join'] as const;

/** A configuration that the agent refuses is one more thing to find, and no reason to look no further. Never throws. */
export function readConfig(file: string): ReadConfig {
  try {
    return { config: loadConfig(file), fault: undefined };
  } catch (error) {
    const given = partsOf(file);
    const usable = (name: string, isFit: (text: string) => boolean): boolean => {
      const value = given[name];
      return typeof value === 'string' && isFit(value);
    };
    const paths = PATHS.filter((name) => usable(name, (text) => text.startsWith('/')));
    const texts = TEXTS.filter((name) => usable(name, (text) => text.length > 0));
    const kept = Object.fromEntries([...paths, ...texts].map((name) => [name, given[name]]));
    return { config: { ...USUAL, ...kept }, fault: error instanceof Error ? error.message : String(error) };
  }
}

function partsOf(file: string): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof document === 'object' && document !== null ? { ...document } : {};
  } catch {
    return {};
  }
}
