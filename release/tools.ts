import { spawn } from 'node:child_process';
import { ReleaseError } from './errors.ts';

/** Debian package of each program, for the error that says what to install. */
const PACKAGES: Record<string, string> = { tar: 'tar' };

export interface ToolResult {
  code: number;
  stderr: string;
}

/** Runs a program to its end; gives its exit code and stderr (last 64 KiB). Throws only when it cannot be run. */
export async function runTool(
  command: string,
  args: string[],
  options: { input?: Uint8Array; env?: Record<string, string> } = {},
): Promise<ToolResult> {
  const child = spawn(command, args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', ...options.env },
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-65_536);
  });
  // A program that ends before it has read all its input is judged by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input);
  return await new Promise((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => {
      const hint =
        cause.code === 'ENOENT'
          ? `it is not installed; run apt-get install ${PACKAGES[command]}`
          : cause.message;
      reject(new ReleaseError('tool', `Cannot run ${command}: ${hint}`, { cause }));
    });
    child.on('close', (code) => resolve({ code: code ?? -1, stderr }));
  });
}
