/** Text laid out in character cells. Colours are put on after: none of these functions knows escape sequences. */

export interface Column {
  title: string;
  align: 'left' | 'right';
}

/** Rows of cells as lines, each column as wide as its widest cell, two spaces between, none at the end. */
export function layOutTable(columns: Column[], rows: string[][]): string[] {
  const all = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => width(row[index] ?? ''))));
  return all.map((row) =>
    columns
      .map(({ align }, index) => pad(row[index] ?? '', widths[index] ?? 0, align))
      .join('  ')
      .trimEnd(),
  );
}

/** Breaks at spaces so that no line is wider than `columns`; a longer word is broken, never lost. */
export function wrap(text: string, columns: number): string[] {
  const limit = Math.max(columns, 1);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((part) => chop(part, limit))) {
    if (line && width(line) + 1 + width(word) > limit) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}

/** Wraps after a heading of the same line; the lines that follow are indented below the text. */
export function hang(heading: string, text: string, columns: number): string[] {
  const indent = ' '.repeat(width(heading));
  return wrap(text, columns - width(heading)).map((line, index) => (index ? indent : heading) + line);
}

/** Control characters from a service must not reach a technician's terminal; tabs become a space. */
export function printable(text: string): string {
  return text
    .replaceAll('\t', ' ')
    .replaceAll(CSI_SEQUENCE, '')
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, '');
}

// ECMA-48 §5.4: control sequences, the ones that colour or move.
const CSI_SEQUENCE = new RegExp(`${String.fromCodePoint(0x1b)}\\[[0-?]*[ -/]*[@-~]`, 'g');

const width = (text: string): number => [...text].length;

function pad(text: string, cells: number, align: Column['align']): string {
  const gap = ' '.repeat(Math.max(0, cells - width(text)));
  return align === 'left' ? text + gap : gap + text;
}

function chop(word: string, limit: number): string[] {
  const letters = [...word];
  const parts: string[] = [];
  for (let at = 0; at < letters.length; at += limit) parts.push(letters.slice(at, at + limit).join(''));
  return parts.length ? parts : [''];
}
