import { expect, test } from 'vitest';
import { mergeConfig } from './merge-config.ts';

test('a board says only what it has beside what all have', () => {
  const base = { kernel: { package: 'linux-image-arm64', modules: ['ext4'] }, suite: 'trixie' };
  const own = { kernel: { modules: ['bcm2835'], load: ['brcmfmac'] }, emulator: { machine: 'raspi3b' } };
  expect(mergeConfig(base, own)).toEqual({
    kernel: { package: 'linux-image-arm64', modules: ['bcm2835', 'ext4'], load: ['brcmfmac'] },
    suite: 'trixie',
    emulator: { machine: 'raspi3b' },
  });
});

test('what is not a list of both is replaced', () => {
  expect(mergeConfig({ kernel: { package: 'a', modules: ['x'] } }, { kernel: { package: 'b' } })).toEqual({
    kernel: { package: 'b', modules: ['x'] },
  });
  expect(mergeConfig({ a: ['x'] }, { a: 'y' })).toEqual({ a: 'y' });
});
