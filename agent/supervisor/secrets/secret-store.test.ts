import { copyFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SecretStore } from './secret-store.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-secrets-'));
const text = async (name: string): Promise<string | undefined> =>
  (await new SecretStore(dir).open(name))?.toString();

afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a secret comes back after a restart and its file does not hold it', async () => {
  await new SecretStore(dir).put('token', Buffer.from('hunter2'));
  expect(await text('token')).toBe('hunter2');
  const file = join(dir, 'secrets/token');
  expect(readFileSync(file, 'latin1')).not.toContain('hunter2');
  expect([file, join(dir, 'secrets.key')].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
});

test('secrets are listed by name and removed', async () => {
  const store = new SecretStore(dir);
  expect(await store.list()).toEqual([]);
  await store.put('b', Buffer.from('2'));
  await store.put('a', Buffer.from('1'));
  expect(await store.list()).toEqual(['a', 'b']);
  expect([await store.remove('a'), await store.remove('a')]).toEqual([true, false]);
  expect(await text('a')).toBeUndefined();
});

test('what a power cut left of a put goes with the secret', async () => {
  const store = new SecretStore(dir);
  await store.put('a', Buffer.from('1'));
  copyFileSync(join(dir, 'secrets/a'), join(dir, 'secrets/a.new'));
  expect(await store.remove('a')).toBe(true);
  expect(readdirSync(join(dir, 'secrets'))).toEqual([]);
});

test('a secret in the place of another, or of another device, does not open', async () => {
  const store = new SecretStore(dir);
  await store.put('a', Buffer.from('1'));
  renameSync(join(dir, 'secrets/a'), join(dir, 'secrets/b'));
  await expect(text('b')).rejects.toThrow('Cannot open secret "b"');
  renameSync(join(dir, 'secrets/b'), join(dir, 'secrets/a'));
  rmSync(join(dir, 'secrets.key'));
  await expect(text('a')).rejects.toThrow('sealed by another device');
});

test('a name cannot leave the folder', async () => {
  await expect(new SecretStore(dir).put('../x', Buffer.from('1'))).rejects.toThrow('Cannot use secret');
});
