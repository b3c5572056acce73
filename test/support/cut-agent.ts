import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SupervisorChildOptions } from './supervisor-child.ts';

const CHILD = join(import.meta.dirname, 'supervisor-child.ts');

/** Runs a supervisor that is killed at the effect `cutAt`; the name of the cut, or nothing when it had no such many. */
export async function cutAgent(options: SupervisorChildOptions & { cutAt: number }): Promise<string> {
  const path = join(options.dir, 'options.json');
  writeFileSync(path, JSON.stringify(options));
  // One that ends of itself without a word must not be taken for the one before.
  rmSync(join(options.dir, 'cut'), { force: true });
  const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  await Promise.race([exit, once(child.stdout, 'data')]);
  child.kill('SIGKILL');
  await exit;
  return readFileSync(join(options.dir, 'cut'), 'utf8');
}

/** To be printed: a test of cuts says how many there were. */
export const told = (what: string, names: readonly string[]): void =>
  console.log(`${what}: ${names.length} cut points: ${names.join(', ')}`);

/**
 * The effects at which an agent was killed, before or during them. Which of the two is left to chance: each agent is
 * another run, which may take one look more or less than the last, and then a cut falls a place further.
 */
export const effectsCut = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/^(?:before|during) /, ''));
