/** Of what was written; what scrolled off is gone. */
const KEPT_CHARACTERS = 200_000;

const ESCAPE = '\x1b';
const BELL = '\x07';
/** Sequences that a program writes for a better terminal than this: CSI, OSC and two-character ones (ECMA-48 §5). */
const ESCAPES = new RegExp(
  `${ESCAPE}(?:\\[[0-?]*[ -/]*[@-~]|\\][^${BELL}${ESCAPE}]*(?:${BELL}|${ESCAPE}\\\\)|[@-Z\\\\^_=>])`,
  'g',
);

/** The screen of a terminal that knows lines, carriage returns, backspaces and tabs. `text` ends with the line in use. */
export interface TerminalText {
  text: string;
  /** Where in the last line the next character goes. */
  column: number;
  /** The beginning of an escape sequence whose end has not come. */
  rest: string;
}

export const EMPTY_TERMINAL: TerminalText = { text: '', column: 0, rest: '' };

export function writeTerminal(before: TerminalText, written: string): TerminalText {
  const whole = (before.rest + written).replaceAll(ESCAPES, '');
  const at = whole.lastIndexOf(ESCAPE);
  // An escape that goes on for long is none.
  const isCut = at >= 0 && whole.length - at < 64;
  const rest = isCut ? whole.slice(at) : '';
  const start = before.text.lastIndexOf('\n') + 1;
  const done = [before.text.slice(0, start)];
  let line = Array.from(before.text.slice(start));
  let { column } = before;
  for (const character of isCut ? whole.slice(0, at) : whole) {
    if (character === '\n') {
      done.push(line.join(''), '\n');
      [line, column] = [[], 0];
    } else if (character === '\r') column = 0;
    else if (character === '\b') column = Math.max(0, column - 1);
    else if (character === '\t') {
      do line[column++] ??= ' ';
      while (column % 8 !== 0);
    } else if (character >= ' ') line[column++] = character;
  }
  return { text: (done.join('') + line.join('')).slice(-KEPT_CHARACTERS), column, rest };
}
