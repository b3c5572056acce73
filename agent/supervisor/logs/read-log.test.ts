import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { until } from '../../../test/support/until.ts';
import { runMark } from './k8s-line.ts';
import { LogFolder } from './log-folder.ts';
import { readLog } from './read-log.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-log-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const raw = (text: string): Buffer => Buffer.from(`2026-11-21T09:47:43.011424651+00:00 stdout F ${text}\n`);
const numbered = (from: number, to: number): Buffer =>
  Buffer.concat(Array.from({ length: to - from }, (_none, index) => raw(`line ${from + index}`)));

async function all(folder: string, tail: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readLog(folder, { tail, follow: false, signal: new AbortController().signal }))
    texts.push(text);
  return texts;
}

/** Collects in the background until stopped. */
function follow(folder: string, tail: number): { texts: string[]; stop: () => Promise<void> } {
  const controller = new AbortController();
  const texts: string[] = [];
  const done = (async () => {
    for await (const { text } of readLog(folder, { tail, follow: true, signal: controller.signal }))
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

test('gives the last lines across segments, and none of a log that is not there', async () => {
  const folder = join(dir, 'a');
  expect(await all(folder, 5)).toEqual([]);
  const log = new LogFolder(folder, 4 * 1024 * 1024);
  log.begin('spec', 4 * 1024 * 1024);
  log.append(numbered(0, 5000));
  expect(await all(folder, 2)).toEqual(['line 4998', 'line 4999']);
  expect(await all(folder, 0)).toEqual([]);
  expect(await all(folder, 100_000)).toHaveLength(5000);
});

test('follows what is written from segment to segment, each line once', async () => {
  const folder = join(dir, 'b');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(raw('one'));
  const reader = follow(folder, 1);
  await until(() => reader.texts.length === 1);
  for (let from = 0; from < 2000; from += 200) {
    log.append(numbered(from, from + 200));
    await until(() => reader.texts.length === 1 + from + 200);
  }
  await reader.stop();
  expect(reader.texts.slice(1)).toEqual(Array.from({ length: 2000 }, (_none, index) => `line ${index}`));
});

test('goes on with a log that was removed and has begun anew', async () => {
  const folder = join(dir, 'c');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(numbered(0, 1000));
  const reader = follow(folder, 1);
  await until(() => reader.texts.length === 1);
  log.remove();
  new LogFolder(folder, 64 * 1024).append(raw('anew'));
  await until(() => reader.texts.length === 2);
  await reader.stop();
  expect(reader.texts).toEqual(['line 999', 'anew']);
});

test('keeps to its size, and the first lines of a specification until there is another', async () => {
  const folder = join(dir, 'd');
  const log = new LogFolder(folder, 64 * 1024);
  log.begin('first', 64 * 1024);
  log.append(raw('early of the first'));
  log.append(numbered(0, 5000));
  expect(log.keptBytes).toBeLessThanOrEqual(64 * 1024);
  expect(await all(folder, 10_000)).toContain('early of the first');

  const again = new LogFolder(folder, 64 * 1024);
  expect(again.keptBytes).toBe(log.keptBytes);
  again.begin('first', 64 * 1024);
  expect(await all(folder, 10_000)).toContain('early of the first');

  again.begin('second', 64 * 1024);
  again.append(raw('early of the second'));
  again.append(numbered(5000, 10_000));
  const texts = await all(folder, 10_000);
  expect(texts).not.toContain('early of the first');
  expect(texts[0]).toBe('early of the second');
  expect(texts.at(-1)).toBe('line 9999');
  expect(again.keptBytes).toBeLessThanOrEqual(64 * 1024);
});

const mark = (): Buffer => Buffer.from(runMark(0));
const never = new AbortController().signal;

async function texts(folder: string, options: { sinceMs?: number; previous?: boolean }): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of readLog(folder, { tail: 100, follow: false, signal: never, ...options }))
    found.push(text);
  return found;
}

test('gives the run before the last one, and nothing where none is kept', async () => {
  const folder = join(dir, 'runs');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(Buffer.concat([mark(), raw('first')]));
  expect(await texts(folder, { previous: true })).toEqual([]);
  log.append(Buffer.concat([mark(), raw('second'), raw('and on')]));
  expect(await texts(folder, { previous: true })).toEqual(['first']);
  log.append(Buffer.concat([mark(), raw('third')]));
  expect(await texts(folder, { previous: true })).toEqual(['second', 'and on']);
  expect(await texts(folder, {})).toEqual(['first', 'second', 'and on', 'third']);
  log.append(mark());
  log.append(mark());
  expect(await texts(folder, { previous: true })).toEqual([]);
});

test('a line that a run left unfinished is not joined to the next run’s', async () => {
  const folder = join(dir, 'unfinished');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(
    Buffer.concat([raw('x'), Buffer.from('2026-11-21T09:47:43Z stdout P half\n'), mark(), raw('next')]),
  );
  expect(await texts(folder, {})).toEqual(['x', 'half', 'next']);
});

test('a service cannot write a mark', async () => {
  const folder = join(dir, 'forged');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(Buffer.concat([mark(), raw(runMark(0).trim()), raw('on')]));
  expect(await texts(folder, { previous: true })).toEqual([]);
});

const at = (seconds: number): Buffer =>
  Buffer.from(`${new Date(seconds * 1000).toISOString()} stdout F at ${seconds}\n`);

test('gives what was written since a time', async () => {
  const folder = join(dir, 'since');
  const log = new LogFolder(folder, 64 * 1024);
  log.append(Buffer.concat([at(1), at(2), at(3)]));
  expect(await texts(folder, { sinceMs: 2000 })).toEqual(['at 2', 'at 3']);
});
