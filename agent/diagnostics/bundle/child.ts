import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { BundleDesk } from '../../local-api/bundle-port.ts';

/** Reading, redacting and the checks of the doctor; a device that hangs must not hang the caller. */
const WHOLE_MS = 180_000;
const ERROR_CHARACTERS = 1_000;

/**
 * The running agent's bundles: this same program once more, told to print one. What that needs of memory is gone when it
 * ends, and it may read the ledger's files: closing one within the agent would drop the agent's own locks (fcntl(2)).
 * One at a time, whoever asks: a second would take as much memory again.
 */
export function childBundles(): BundleDesk {
  let isBusy = false;
  return {
    async *make(options) {
      if (isBusy)
        throw new Error('Cannot make a support bundle: another one is being made; wait for its end');
      isBusy = true;
      try {
        yield* printed(options);
      } finally {
        isBusy = false;
      }
    },
  };
}

async function* printed({ maxBytes, who }: { maxBytes: number; who: string }): AsyncGenerator<Uint8Array> {
  const args = [
    ...process.execArgv,
    ...process.argv.slice(1),
    `--support-bundle=${maxBytes}`,
    // As one argument: a name may begin with "-".
    `--by=${who}`,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: WHOLE_MS,
    killSignal: 'SIGKILL',
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-ERROR_CHARACTERS);
  });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let left = maxBytes;
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      if (left > 0) yield piece.subarray(0, left);
      left -= piece.length;
    }
    const [code, signal] = await ended;
    if (code !== 0)
      throw new Error(said.trim() || `Cannot make a support bundle: it ended with ${code ?? signal}`);
  } finally {
    child.kill('SIGKILL');
  }
}
