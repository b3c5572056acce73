import { expect, test } from 'vitest';
import { redactor } from '../core/redact.ts';
import type { Part } from './part.ts';
import { secretForms } from './secret-forms.ts';
import { writeBundle } from './write-bundle.ts';

const part = (title: string, text: string, keep: Part['keep'] = 'head'): Part => ({
  title,
  keep,
  read: async () => text,
});
const lines = (count: number, word = 'line'): string =>
  Array.from({ length: count }, (_, index) => `${word} ${index + 1} ü`).join('\n');

async function written(parts: Part[], maxBytes = 64 * 1024, secrets: string[] = []): Promise<Buffer> {
  const redact = redactor(secrets.flatMap((secret) => secretForms('secret x', Buffer.from(secret))));
  const { signal } = new AbortController();
  const pieces: Uint8Array[] = [];
  for await (const piece of writeBundle({ heading: ['Bundle'], parts, redact, maxBytes, signal }))
    pieces.push(piece);
  return Buffer.concat(pieces);
}

test('small parts stay whole; a log keeps its end and a document its beginning, in whole lines', async () => {
  const bundle = await written([
    part('small', 'all of it'),
    part('log', lines(9_000), 'tail'),
    part('document', lines(9_000)),
  ]);
  const text = bundle.toString('utf8');
  expect(bundle.length).toBeLessThanOrEqual(64 * 1024);
  expect(bundle.length).toBeGreaterThan(60 * 1024);
  expect(text).toContain('======== 1 small ========\nall of it\n');
  expect(text).toMatch(/2 {2}log +CUT: 3\d(?:\.\d)? KiB of \d+(?:\.\d)? KiB/);
  expect(text).toMatch(/======== 2 log ========\n\[cut: .* left out\]\nline \d+ ü\n/);
  expect(text).toMatch(/line 9000 ü\n\n======== 3 document ========\nline 1 ü\n/);
  expect(text).toMatch(/line \d+ ü\n\[cut: .* left out\]\n$/);
  // No character was cut in half.
  expect(text).not.toContain('\ufffd');
});

test('however many parts there are, it is not larger than asked', async () => {
  const parts = Array.from({ length: 400 }, (_, index) => part(`part ${index}`, lines(100)));
  expect((await written(parts)).length).toBeLessThanOrEqual(64 * 1024);
});

test('one line without an end, and a part of nothing', async () => {
  const bundle = await written([part('line', 'x'.repeat(200_000), 'tail'), part('empty', '')]);
  expect(bundle.length).toBeLessThanOrEqual(64 * 1024);
  expect(bundle.toString()).toMatch(
    /======== 1 line ========\n\[cut: .* left out\]\n\n======== 2 empty ========\n\n$/,
  );
});

test('secrets go before anything is cut, from the titles too', async () => {
  const secret = 'swordfish-and-marlin';
  const text = Array.from({ length: 9_000 }, () => `it is ${secret} here`).join('\n');
  const bundle = await written([part(`log of ${secret}`, text, 'tail')], 64 * 1024, [secret]);
  expect(bundle.toString()).not.toMatch(/swordfish|marlin/);
});

test('a part that cannot be had says why', async () => {
  const broken: Part = {
    title: 'broken',
    keep: 'head',
    read: () => Promise.reject(new Error('no such file')),
  };
  expect((await written([broken])).toString()).toContain('(not to be had: no such file)');
});
