import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../scripts/setup.mjs';

/** Runs bin/wherry as a person does. Never throws for an exit code. */
export function wherry(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      join(ROOT, 'bin/wherry'),
      args,
      { env: { ...process.env, ...env }, timeout: 60_000 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
      },
    );
  });
}
