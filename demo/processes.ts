import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { NODE, ROOT, SetupError } from '../scripts/setup.mjs';

/**
 * A long-running part of the demo. It has its own session, so that Ctrl-C on the terminal reaches only the demo,
 * which stops the parts in order; and an IPC channel, whose closing tells it that the demo has died.
 */
export interface Part {
  name: string;
  logFile: string;
  child: ChildProcess;
  /** Resolves when the process has ended, however it did. */
  ended: Promise<void>;
}

export function startPart(
  name: string,
  args: string[],
  logFile: string,
  env: Record<string, string> = {},
): Part {
  const log = openSync(logFile, 'a');
  const child = spawn(NODE, args, {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  return { name, logFile, child, ended: new Promise((resolve) => child.once('close', () => resolve())) };
}

export const hasEnded = ({ child }: Part): boolean => child.exitCode !== null || child.signalCode !== null;

/** SIGTERM, then SIGKILL when the grace is over. */
export async function stopPart(part: Part, graceMs: number): Promise<void> {
  if (hasEnded(part)) return;
  part.child.kill('SIGTERM');
  const timer = setTimeout(() => part.child.kill('SIGKILL'), graceMs);
  await part.ended;
  clearTimeout(timer);
}

/** Polls until the part answers; a part that ends first is an error that shows its last words. */
export async function untilReady<T>(
  part: Part,
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (!hasEnded(part)) {
    const value = await probe().catch(() => undefined);
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw failure(part, `${what} did not happen within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw failure(part, 'it ended');
}

function failure(part: Part, what: string): Error {
  const words = readFileSync(part.logFile, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
  return new SetupError(`Cannot run the ${part.name}: ${what}; the end of ${part.logFile} says\n${words}`);
}
