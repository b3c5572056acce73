import { expect, test } from 'vitest';
import { parseUris, sourcesFor } from './apt.ts';

test("what apt would fetch is read, versions in Debian's own spelling", () => {
  const digest = 'a'.repeat(64);
  const text = `'http://mirror.test/p/libcap2_1%3a2.75-10%2bb3_arm64.deb' libcap2_1%3a2.75-10+b3_arm64.deb 28568 SHA256:${digest}\n\n`;
  expect(parseUris(text)).toEqual([
    {
      name: 'libcap2',
      version: '1:2.75-10+b3',
      file: 'libcap2_1%3a2.75-10+b3_arm64.deb',
      size: 28568,
      sha256: digest,
    },
  ]);
  expect(parseUris("'http://mirror.test/x_1_arm64.deb' x_1_arm64.deb 5 MD5Sum:00")).toEqual([]);
});

const suites = (text: string) => text.match(/^(Suites|Components): .*/gm);

test('a board takes what it asks for of the archive, and backports only when it asks for one', () => {
  const host = ['bookworm bookworm-updates', 'bookworm-security']
    .map((suites) => `Types: deb\nURIs: http://mirror.test\nSuites: ${suites}\nComponents: main\n`)
    .join('\n');
  const plain = sourcesFor(host, { suite: 'trixie', components: ['main'], packages: ['linux-image-arm64'] });
  expect(suites(plain)).toEqual([
    'Suites: trixie trixie-updates',
    'Components: main',
    'Suites: trixie-security',
    'Components: main',
  ]);
  const more = sourcesFor(host, {
    suite: 'trixie',
    components: ['main', 'non-free-firmware'],
    packages: ['u-boot-rpi', 'linux-image-arm64/trixie-backports'],
  });
  expect(suites(more)).toEqual([
    'Suites: trixie trixie-updates trixie-backports',
    'Components: main non-free-firmware',
    'Suites: trixie-security',
    'Components: main non-free-firmware',
  ]);
});
