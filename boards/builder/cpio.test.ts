import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { cpioArchive } from './cpio.ts';

test('what is packed is what another program unpacks', () => {
  const archive = cpioArchive([
    { path: 'bin', kind: 'folder' },
    { path: 'bin/odd', kind: 'file', mode: 0o755, data: Buffer.from('12345') },
    { path: 'bin/link', kind: 'link', target: 'odd' },
  ]);
  const list = execFileSync('busybox', ['cpio', '-tv'], {
    input: archive,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = list.toString().trim().split('\n');
  expect(lines.map((line) => line.replace(/\s+/g, ' ').split(' ')[0])).toEqual([
    'drwxr-xr-x',
    '-rwxr-xr-x',
    'lrwxrwxrwx',
  ]);
  const text = execFileSync('busybox', ['cpio', '-i', '--to-stdout', 'bin/odd'], {
    input: archive,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  expect(text.toString()).toBe('12345');
});

test('the same entries give the same bytes', () => {
  const entries = [{ path: 'a', kind: 'file', mode: 0o644, data: Buffer.from('x') }] as const;
  expect(cpioArchive(entries).equals(cpioArchive(entries))).toBe(true);
});
