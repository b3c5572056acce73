import { execFile } from 'node:child_process';
import { join } from 'node:path';

/** The machine as the checks see it. */
export interface Host {
  /** A file of the machine, by its absolute path; tests have them below a folder. */
  at(path: string): string;
  /** What a program prints. Rejects when it is not there, fails, prints too much or `signal` is aborted. */
  run(program: string, args: readonly string[], signal: AbortSignal): Promise<string>;
  /** Unix ms. */
  now(): number;
  isRoot: boolean;
}

const OUTPUT_BYTES = 4 * 1024 * 1024;
/** A login shell of a technician may lack /usr/sbin, where nft and dmesg's friends are. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function localHost(root = ''): Host {
  return {
    at: (path) => join(root || '/', path),
    run: runBounded,
    now: Date.now,
    isRoot: process.getuid?.() === 0,
  };
}

function runBounded(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:${PATH}`, LC_ALL: 'C' };
  return new Promise((resolve, reject) => {
    const options = { signal, env, maxBuffer: OUTPUT_BYTES, killSignal: 'SIGKILL' as const };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const isMissing = error.code === 'ENOENT';
      const what = isMissing ? 'it is not installed' : stderr.trim() || error.message;
      reject(
        Object.assign(new Error(`Cannot run ${program}: ${what}`, { cause: error }), { isMissing, stdout }),
      );
    });
  });
}
