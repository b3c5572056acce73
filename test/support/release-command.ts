import { Writable } from 'node:stream';
import { runReleaseCommand } from '../../release/cli.ts';

export interface CommandOutcome {
  code: number;
  out: string;
  err: string;
}

const sink = (to: string[]) => new Writable({ write: (data, _, done) => (to.push(String(data)), done()) });

/** Runs `wherry release …` and `wherry keys …` in this process, with what they write and their exit code. */
export async function releaseCommand(env: Record<string, string>, argv: string[]): Promise<CommandOutcome> {
  const [out, err] = [[] as string[], [] as string[]];
  const code = await runReleaseCommand(argv, { stdout: sink(out), stderr: sink(err), env });
  return { code, out: out.join(''), err: err.join('') };
}
