import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../test/support/until.ts';

/** A Docker engine to be measured against; `stop` ends it when it was started here. */
export interface DockerEngine {
  docker(...args: string[]): string;
  stop(): Promise<void>;
}

/**
 * The machine's own Docker engine, or one of Debian's docker.io with all its state below `dir`; undefined where it is
 * not installed or does not come up. It has no network of its own: containers run with `none` or `host`.
 */
export async function openDocker(dir: string): Promise<DockerEngine | undefined> {
  if (isUp(undefined)) return { docker: client(undefined), stop: async () => undefined };
  if (spawnSync('dockerd', ['--version'], { stdio: 'ignore' }).status !== 0) return undefined;
  const home = join(dir, 'docker');
  mkdirSync(home, { recursive: true });
  const log = openSync(join(home, 'log'), 'w');
  const host = `unix://${join(home, 'docker.sock')}`;
  const engine = spawn(
    'dockerd',
    [
      `--host=${host}`,
      `--data-root=${join(home, 'data')}`,
      `--exec-root=${join(home, 'run')}`,
      `--pidfile=${join(home, 'pid')}`,
      '--iptables=false',
      '--bridge=none',
      '--default-ulimit=nofile=1024:4096',
    ],
    { stdio: ['ignore', log, log] },
  );
  const ended = new Promise<void>((resolve) => engine.on('close', () => resolve()));
  const stop = async (): Promise<void> => {
    engine.kill('SIGTERM');
    await ended;
    // It leaves the mount of the host's network namespace behind.
    const namespaces = join(home, 'run/netns');
    if (existsSync(namespaces))
      for (const name of readdirSync(namespaces)) spawnSync('umount', [join(namespaces, name)]);
  };
  try {
    await until(() => isUp(host), { timeoutMs: 20_000, what: 'dockerd' });
  } catch {
    await stop();
    return undefined;
  }
  return { docker: client(host), stop };
}

const client =
  (host: string | undefined) =>
  (...args: string[]): string =>
    execFileSync('docker', [...(host === undefined ? [] : ['--host', host]), ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });

const isUp = (host: string | undefined): boolean =>
  spawnSync('docker', [...(host === undefined ? [] : ['--host', host]), 'info', '--format', '{{.ID}}'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
    .stdout?.toString()
    .trim().length > 0;

/** Imports a folder as an image of that name. */
export function importImage({ docker }: DockerEngine, folder: string, name: string, dir: string): void {
  const path = join(dir, `${name}.tar`);
  execFileSync('tar', ['-C', folder, '-cf', path, '.']);
  docker('import', path, name);
}
