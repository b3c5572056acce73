import type { CheckResult, Diagnosis, Verdict } from '../../diagnostics/core/finding.ts';
import type { Paint } from '../paint.ts';
import { hang, printable } from './layout.ts';

const WORDS: Record<Verdict, { word: string; paint: keyof Paint }> = {
  ok: { word: 'ok', paint: 'good' },
  warn: { word: 'warn', paint: 'warn' },
  fail: { word: 'FAIL', paint: 'bad' },
  skipped: { word: '-', paint: 'dim' },
};
const WORD_CELLS = 6;
/** Of ours none is longer; a plugin's name may stand alone on its line. */
const NAME_CELLS = 16;

/** A line for each check, what to do below those that want something, and the sum. */
export function describeDiagnosis({ checks }: Diagnosis, columns: number, paint: Paint): string[] {
  const cells = Math.min(NAME_CELLS, Math.max(...checks.map(({ check }) => check.length)) + 2);
  return [...checks.flatMap((check) => linesOf(check, cells, columns, paint)), '', sumOf(checks)];
}

function linesOf(
  { check, verdict, found, advice }: CheckResult,
  cells: number,
  columns: number,
  paint: Paint,
): string[] {
  const { word, paint: colour } = WORDS[verdict];
  const heading = word.padEnd(WORD_CELLS) + check.padEnd(cells);
  // Beside a long name too little would be left: the words then stand below it.
  const isNarrow = check.length > cells - 2 || columns - heading.length < 30;
  const margin = isNarrow ? ' '.repeat(WORD_CELLS) : heading;
  const [first = '', ...more] = hang(margin, printable(found), columns);
  const body = isNarrow ? [heading.trimEnd(), first, ...more] : [first, ...more];
  const indent = `${' '.repeat(margin.length)}→ `;
  const todo = advice === undefined ? [] : hang(indent, printable(advice), columns);
  return [...body, ...todo].map((line, index) =>
    index ? line : paint[colour](word.padEnd(WORD_CELLS)) + line.slice(WORD_CELLS),
  );
}

function sumOf(checks: readonly CheckResult[]): string {
  const count = (wanted: Verdict): number => checks.filter(({ verdict }) => verdict === wanted).length;
  return `${count('fail')} failed, ${count('warn')} to be looked at, ${count('ok')} ok, ${count('skipped')} not told`;
}
