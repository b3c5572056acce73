import { execFile } from 'node:child_process';

/** Longer than any of our helpers needs; a hung one must not hang the loop. */
const TIMEOUT_MS = 20_000;

/** Runs a program to its end. `more`: set in its environment. Throws with what it said on stderr. */
export function runProgram(
  program: string,
  args: readonly string[],
  cwd?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...more };
    execFile(program, args, { timeout: TIMEOUT_MS, cwd, env }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const what = error.code === 'ENOENT' ? 'the program is not installed' : stderr.trim() || error.message;
      reject(new Error(`Cannot run ${program} ${args.join(' ')}: ${what}`, { cause: error }));
    });
  });
}
