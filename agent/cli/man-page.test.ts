import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from './commands/index.ts';
import { completionModel } from './completion/model.ts';
import { manPages } from './man-page.ts';

const pages = manPages(COMMANDS, { version: '0.1.0', date: '2026-11-22' });
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wherry-man-'));
  for (const { file, source } of pages) writeFileSync(join(folder, file), source);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('there is a page for every noun, and each command is on one', () => {
  const nouns = new Set(COMMANDS.map(({ name }) => name.split(' ')[0]));
  expect(pages.map(({ file }) => file)).toEqual([
    'wherry.1',
    ...[...nouns].map((noun) => `wherry-${noun}.1`),
  ]);
  for (const { name } of COMMANDS) {
    const page = pages.find(({ file }) => file === `wherry-${name.split(' ')[0]}.1`);
    expect(page?.source).toContain(`\\fBwherry ${name.replaceAll('-', '\\-')}\\fR`);
  }
});

test('completions know every command', () => {
  const model = completionModel(COMMANDS);
  expect(model.commands.map(({ name }) => name)).toEqual(COMMANDS.map(({ name }) => name));
  const words = model.first.flatMap(({ word }) =>
    (model.verbs[word] ?? [undefined]).map((verb) => (verb ? `${word} ${verb.word}` : word)),
  );
  for (const { name } of COMMANDS) expect(words).toContain(name);
});

test.each(pages)('$file has its sections and builds without a warning', ({ file }) => {
  const path = join(folder, file);
  const groff = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-c', path], { encoding: 'utf8' });
  expect([groff.status, groff.stderr]).toEqual([0, '']);
  // grotty(1) prints bold as a letter over itself.
  const text = groff.stdout.replaceAll(new RegExp(`.${String.fromCharCode(8)}`, 'g'), '');
  for (const heading of ['NAME', 'SYNOPSIS', 'EXIT STATUS', 'SEE ALSO'])
    expect(text).toMatch(new RegExp(`^${heading}$`, 'm'));
  const lint = spawnSync('mandoc', ['-T', 'lint', path], { encoding: 'utf8' });
  expect(lint.stdout + lint.stderr).toBe('');
});

test('man shows a page', () => {
  const man = spawnSync('man', ['--warnings', '-l', join(folder, 'wherry-lease.1')], {
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '80', MANPAGER: 'cat' },
  });
  expect([man.status, man.stderr]).toEqual([0, '']);
  expect(man.stdout).toContain('wherry lease take');
});
