import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROBLEMS } from '../../fleet-server/problems.ts';
import { TUF_ERRORS } from '../../protocol/tuf.ts';
import { RELEASE_ERRORS } from '../../release/errors.ts';
import { ROOT } from '../../scripts/setup.mjs';

const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
const EXIT = { failed: 1, usage: 2, refused: 4 };

/** Cells of the table under a heading, without its head. */
function rowsUnder(heading: string): string[][] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('docs/errors.md has every problem of the server, with its status and title, and no other', () => {
  const rows = rowsUnder('Fleet server').map(([code, status, title]) => [code, status, title]);
  const wanted = Object.entries(PROBLEMS).map(([code, { status, title }]) => [
    `\`${code}\``,
    `${status}`,
    title,
  ]);
  expect(rows).toEqual(wanted);
});

test('docs/errors.md has every failure of the release tool, with its exit code, and no other', () => {
  const rows = rowsUnder('Release tool').map(([code, exit]) => [code, exit]);
  const wanted = Object.entries(RELEASE_ERRORS).map(([code, outcome]) => [`\`${code}\``, `${EXIT[outcome]}`]);
  expect(rows).toEqual(wanted);
});

test('docs/errors.md has every fault of signed metadata, and no other', () => {
  expect(rowsUnder('Signed metadata (TUF)').map(([code]) => code)).toEqual(
    TUF_ERRORS.map((code) => `\`${code}\``),
  );
});

test('every row says what it means and what to do', () => {
  const rows = ['Fleet server', 'Release tool', 'Signed metadata (TUF)'].flatMap(rowsUnder);
  expect(rows.filter((cells) => cells.length !== 4 || cells.includes(''))).toEqual([]);
});
