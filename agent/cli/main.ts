import { EXIT } from './exit-codes.ts';
import { processTerminal } from './process-terminal.ts';
import { runCli } from './run.ts';

export { runCli };

if (import.meta.main) {
  const stop = new AbortController();
  // A second Ctrl-C ends the process, whatever hangs; by `exit`, so that the terminal is given back.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(EXIT.interrupted);
      stop.abort();
    });
  }
  // A parent that opened an IPC channel and is gone cannot send a signal any more.
  process.once('disconnect', () => stop.abort());
  // A reader that goes away is reported by the write that failed; unheard, the event would end the process.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.exitCode = await runCli(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    isTTY: process.stdout.isTTY,
    columns: process.stdout.columns || 80,
    terminal: processTerminal(process.stdin, process.stdout),
    signal: stop.signal,
    now: Date.now,
  });
}
