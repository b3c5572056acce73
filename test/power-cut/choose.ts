import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../scripts/setup.mjs';

/** No process: bin/choose-agent's watch over a trial has nobody to watch, and would keep the disk busy. */
const NOBODY = '999999999';

/** Which agent a service manager would start now: the name of its folder, or "shipped". */
export function chooseAgent(stateDir: string): string {
  const config = `${join(stateDir, '..')}.json`;
  writeFileSync(config, JSON.stringify({ stateDir }));
  const { CUT_SHIM: shim, CUT_OUT: out, CUT_IN: go } = process.env;
  const { stdout, status, pid } = spawnSync(
    'setsid',
    [join(ROOT, 'bin/choose-agent'), NOBODY, '--config', config],
    // What the shim stops in it is stopped as in the agent itself, which waits meanwhile.
    {
      encoding: 'utf8',
      env: { ...process.env, ...(shim && { LD_PRELOAD: shim, CUT_CHILDREN: '1' }) },
      stdio: ['ignore', 'pipe', 'inherit', ...(shim ? [Number(out), Number(go)] : [])],
    },
  );
  if (status !== 0) throw new Error(`bin/choose-agent ended with ${status}`);
  endGroup(pid);
  return stdout.split(' ')[0]?.trim() || 'shipped';
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It left nobody behind.
  }
}
