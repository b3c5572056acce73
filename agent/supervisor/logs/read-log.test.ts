import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../../../test/support/until.ts';
import { readLog } from './read-log.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-log-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const raw = (text: string): string => `2026-11-21T09:47:43.011424651+00:00 stdout F ${text}\n`;

async function all(path: string, tail: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readLog(path, { tail, follow: false, signal: new AbortController().signal }))
    texts.push(text);
  return texts;
}

/** Collects in the background until stopped. */
function follow(path: string, tail: number): { texts: string[]; stop: () => Promise<void> } {
  const controller = new AbortController();
  const texts: string[] = [];
  const done = (async () => {
    for await (const { text } of readLog(path, { tail, follow: true, signal: controller.signal }))
      texts.push(text);
  })();
  return {
    texts,
    stop: () => {
      controller.abort();
      return done;
    },
  };
}

test('gives the last lines, and none of a log that is not there', async () => {
  const path = join(dir, 'a.log');
  expect(await all(path, 5)).toEqual([]);
  writeFileSync(path, Array.from({ length: 5000 }, (_none, index) => raw(`line ${index}`)).join(''));
  expect(await all(path, 2)).toEqual(['line 4998', 'line 4999']);
  expect(await all(path, 0)).toEqual([]);
  expect(await all(path, 100_000)).toHaveLength(5000);
});

test('follows what is written, also into a new file in its place, and ends when told to', async () => {
  const path = join(dir, 'b.log');
  writeFileSync(path, raw('one') + raw('two'));
  const reader = follow(path, 1);
  await until(() => reader.texts.length === 1);
  appendFileSync(path, raw('three').slice(0, 50));
  appendFileSync(path, raw('three').slice(50));
  await until(() => reader.texts.length === 2);
  appendFileSync(path, raw('four'));
  writeFileSync(`${path}.tmp`, raw('five'));
  renameSync(`${path}.tmp`, path);
  await until(() => reader.texts.length === 4);
  appendFileSync(path, raw('six'));
  await until(() => reader.texts.length === 5);
  await reader.stop();
  expect(reader.texts).toEqual(['two', 'three', 'four', 'five', 'six']);
});
