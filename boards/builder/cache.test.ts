import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { made } from './cache.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-made-'));
afterAll(() => rmSync(dir, { recursive: true }));

test('a folder is made once, appears whole, and takes the place of those with other keys', async () => {
  let times = 0;
  const make = async (folder: string): Promise<void> => {
    times += 1;
    writeFileSync(join(folder, 'file'), '');
  };
  const first = await made(dir, 'part', 'one', make);
  expect(await made(dir, 'part', 'one', make)).toBe(first);
  expect(times).toBe(1);
  const second = await made(dir, 'part', 'two', make);
  expect([existsSync(first), existsSync(join(second, 'file'))]).toEqual([false, true]);
});

const fail = async (folder: string): Promise<void> => {
  writeFileSync(join(folder, 'half'), '');
  throw new Error('No room');
};

test('what failed leaves nothing', async () => {
  await expect(made(dir, 'other', 'key', fail)).rejects.toThrow('No room');
  expect(readdirSync(dir).filter((name) => name.includes('other'))).toEqual([]);
});
