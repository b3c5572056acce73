import { readFileSync, rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { sessionFiles } from './container-session.ts';
import { markOf, sweep } from './execution-sweep.ts';
import { killProcessesNaming } from './processes-naming.ts';

const LOOKS = 50;
const LOOK_MS = 20;

/** Ends an execution whose agent was killed: the program in the container of `pid`, the runtime that waits for it. */
export async function endStray(file: string, pid: number | undefined): Promise<void> {
  const mark = readMark(file);
  if (mark !== undefined && pid !== undefined) {
    const traces = { mark, outputs: new Set<string>() };
    for (let looks = 0; looks < LOOKS && sweep(pid, traces); looks++) await pause(LOOK_MS);
  }
  await killProcessesNaming(file);
  for (const path of sessionFiles(file)) rmSync(path, { force: true });
}

function readMark(file: string): string | undefined {
  try {
    return markOf(JSON.parse(readFileSync(file, 'utf8')) as { env?: string[] });
  } catch {
    // It was cut off before anything was run.
    return undefined;
  }
}
