import { execFile } from 'node:child_process';

/** Longer than any of our helpers needs; a hung one must not hang the loop. */
const TIMEOUT_MS = 20_000;

/** Runs a program to its end. Throws with what it said on stderr. */
export function runProgram(program: string, args: readonly string[], cwd?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: TIMEOUT_MS, cwd }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const what = error.code === 'ENOENT' ? 'the program is not installed' : stderr.trim() || error.message;
      reject(new Error(`Cannot run ${program} ${args.join(' ')}: ${what}`, { cause: error }));
    });
  });
}
