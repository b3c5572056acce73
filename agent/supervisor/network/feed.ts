import { spawn } from 'node:child_process';

/** Longer than the kernel needs; a hung program must not hang the loop. */
const TIMEOUT_MS = 20_000;

/** Runs a program on a text and resolves with what it printed. Throws with what it said on stderr. */
export function feed(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
    const fail = (what: string, cause?: unknown): void =>
      reject(new Error(`Cannot run ${program} ${args.join(' ')}: ${what}`, { cause }));
    child.on('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ENOENT' ? 'the program is not installed' : error.message, error),
    );
    child.on('close', (code, signal) =>
      code === 0
        ? resolve(said.stdout)
        : fail(said.stderr.trim().slice(0, 1000) || `it ended with ${signal ?? code}`),
    );
    // A program that ends before it has read all says so by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** The same for a text that may be empty; then there is nothing to run. */
export async function feedLines(program: string, args: readonly string[], input: string): Promise<void> {
  if (input !== '') await feed(program, args, input);
}
