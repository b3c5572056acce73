import { expect, test } from 'vitest';
import { parseUris } from './apt.ts';

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
