import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { debianSources } from './debian-sources.ts';

const dir = mkdtempSync(join(tmpdir(), 'wherry-apt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('only Debian 12 of the host is taken, in both formats', async () => {
  mkdirSync(join(dir, 'sources.list.d'));
  writeFileSync(
    join(dir, 'sources.list'),
    'deb http://mirror.test/debian bookworm main contrib\ndeb-src http://mirror.test/debian bookworm main\n',
  );
  writeFileSync(
    join(dir, 'sources.list.d/other.sources'),
    'Types: deb\nURIs: http://other.test\nSuites: bookworm\nComponents: main\nSigned-By: /usr/share/keyrings/other.gpg\n',
  );
  const text = await debianSources(dir);
  expect(text.match(/URIs: .*/g)).toEqual(['URIs: http://mirror.test/debian']);
  expect(text).toContain('Components: main\n');
});

test('a host without Debian 12 sources is told what is wanted', async () => {
  await expect(debianSources(join(dir, 'nowhere'))).rejects.toThrow('wanted bookworm');
});
