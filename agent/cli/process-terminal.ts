import type { ReadStream, WriteStream } from 'node:tty';
import type { Terminal } from './io.ts';

/** xterm's control sequences: alternate screen with the cursor saved (?1049), cursor shown (?25). */
const OWN_SCREEN = '\u001b[?1049h\u001b[?25l';
const SHELLS_SCREEN = '\u001b[?25h\u001b[?1049l';

/** The process's own terminal; undefined where stdin or stdout is something else. */
export function processTerminal(stdin: ReadStream, stdout: WriteStream): Terminal | undefined {
  if (!stdin.isTTY || !stdout.isTTY) return undefined;
  let isOwnScreen = false;
  const setScreen = (isOwn: boolean): void => {
    if (isOwn === isOwnScreen) return;
    isOwnScreen = isOwn;
    stdout.write(isOwn ? OWN_SCREEN : SHELLS_SCREEN);
  };
  process.once('exit', () => {
    setScreen(false);
    stdin.setRawMode(false);
  });
  return {
    // A serial line tells no size: 0.
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    watchSize: (onChange) => {
      stdout.on('resize', onChange);
      return () => stdout.off('resize', onChange);
    },
    setRaw: (isRaw) => void stdin.setRawMode(isRaw),
    setScreen,
  };
}
