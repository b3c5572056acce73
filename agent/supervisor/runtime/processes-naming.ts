import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { identify } from './process-identity.ts';

const PATIENCE_MS = 5000;

/** Kills the programs that have `id` as an argument, such as conmon and a runtime at work, and waits for their end. */
export async function killProcessesNaming(id: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let found = processesNaming(id); found.length > 0; found = processesNaming(id)) {
    if (Date.now() > deadline)
      throw new Error(`Cannot end processes ${found.join(', ')} of ${id}: they go on`);
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
    await pause(2);
  }
}

const processesNaming = (id: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && names(pid, id) && identify(pid, '') !== undefined);

function names(pid: number, id: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(id);
  } catch {
    return false;
  }
}
