import { spawn } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { namesIn } from '../supervisor/health/small-file.ts';
import type { Check, CheckRun } from './check.ts';
import { type Finding, fail } from './core/finding.ts';
import { ownerFault, type PluginRun, readPlugin, refusal } from './core/plugin.ts';

/** Beside agent.json: /etc/wherry/doctor.d. */
export const pluginFolder = (configFile: string): string => join(dirname(configFile), 'doctor.d');

export const PLUGIN_LIMITS = { ms: 10_000, outputBytes: 64 * 1024, count: 32 } as const;
const RIGHTS = 0o7777;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A check for each file of the folder, by name; none when there is no folder. */
export function pluginChecks(folder: string): Check[] {
  const names = namesIn(folder).sort();
  if (names.length === 0) return [];
  const { uid, mode } = lstatSync(folder);
  const fault = ownerFault({ uid, mode: mode & RIGHTS });
  if (fault !== undefined)
    return [
      refused(
        'plugins',
        `No plugin of ${folder} is run: ${fault}`,
        `chown root ${folder}; chmod go-w ${folder}`,
      ),
    ];
  const more = names.length - PLUGIN_LIMITS.count;
  const kept = names.slice(0, PLUGIN_LIMITS.count).map((name) => pluginCheck(folder, name));
  if (more <= 0) return kept;
  return [
    ...kept,
    refused('plugins', `${more} plugins are one too many`, `keep at most ${PLUGIN_LIMITS.count}`),
  ];
}

function pluginCheck(folder: string, name: string): Check {
  const check = `plugin:${name}`;
  const path = join(folder, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return refused(check, `${path} has gone`, 'try again');
  const kind = stat.isFile() ? 'file' : 'other';
  const fault = refusal({ name, kind, uid: stat.uid, mode: stat.mode & RIGHTS });
  if (fault !== undefined)
    return refused(
      check,
      `${path} is not run: ${fault}`,
      `chown root ${path}; chmod 755 ${path}, or remove it`,
    );
  return { name: check, limitMs: PLUGIN_LIMITS.ms + 1_000, run: (run) => runPlugin(path, run) };
}

const refused = (name: string, found: string, advice: string): Check => ({
  name,
  limitMs: 1_000,
  run: (): Finding => fail(found, advice),
});

/** In a process group of its own, so that what it started ends with it. */
async function runPlugin(path: string, { patient, signal }: CheckRun): Promise<Finding> {
  const { config, configFile } = patient;
  const child = spawn(path, [], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH, LC_ALL: 'C', WHERRY_CONFIG: configFile, WHERRY_STATE_DIR: config.stateDir },
  });
  let why: string | undefined;
  const kill = (reason: string): void => {
    why ??= reason;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  };
  const timer = setTimeout(() => kill(`it took longer than ${PLUGIN_LIMITS.ms / 1000} s`), PLUGIN_LIMITS.ms);
  signal.addEventListener('abort', () => kill('the time of all checks was over'), { once: true });
  const parts: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (data: Buffer) => {
    bytes += data.length;
    if (bytes > PLUGIN_LIMITS.outputBytes) kill(`it wrote more than ${PLUGIN_LIMITS.outputBytes / 1024} KiB`);
    else parts.push(data);
  });
  const ended = await new Promise<PluginRun>((resolve) => {
    child.once('error', (error) => resolve({ exitCode: undefined, why: error.message, stdout: '' }));
    child.once('close', (code, by) =>
      resolve({
        exitCode: why === undefined ? (code ?? undefined) : undefined,
        why: why ?? `by ${by}`,
        stdout: Buffer.concat(parts).toString('utf8'),
      }),
    );
  });
  clearTimeout(timer);
  return readPlugin(ended);
}
