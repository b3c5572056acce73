import { execFile } from 'node:child_process';

/** Runs a program to its end and gives its stdout. Throws with the last lines of stderr. */
export function run(command: string, args: string[], cwd?: string): Promise<string> {
  const options = { maxBuffer: 64 * 1024 * 1024, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' }, cwd };
  return new Promise((resolve, reject) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const what = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed' : tail(stderr);
      return reject(new Error(`Cannot run ${command}: ${what}`, { cause: error }));
    });
  });
}

const tail = (text: string): string => text.trim().split('\n').slice(-3).join('; ');
