import { expect, test } from 'vitest';
import type { Manifest } from '../manifest.ts';
import { basesOf } from './bases.ts';

const layer = (verity: string, size = 100) => ({ verity, size, diffId: verity });
const release = (services: Record<string, ReturnType<typeof layer>[]>): Manifest =>
  ({
    services: Object.fromEntries(
      Object.entries(services).map(([name, layers]) => [name, { images: { 'linux/amd64': { layers } } }]),
    ),
  }) as unknown as Manifest;
const bases = (wanted: ReturnType<typeof layer>, incoming: Manifest, ...held: Manifest[]) =>
  basesOf(wanted, incoming, held, 'linux/amd64').map(({ verity }) => verity);

test('what stood in its place comes first, then its place from the top, its service, the rest', () => {
  const incoming = release({ web: [layer('B1'), layer('APP1')], db: [layer('DB1')] });
  const held = release({ db: [layer('DB0')], web: [layer('B0'), layer('EXTRA'), layer('APP0')] });
  expect(bases(layer('B1'), incoming, held)).toEqual(['B0', 'EXTRA', 'APP0', 'DB0']);
  expect(bases(layer('APP1'), incoming, held)).toEqual(['EXTRA', 'APP0', 'B0', 'DB0']);
});

test('of equally likely ones the nearest in size comes first, and none is named twice', () => {
  const incoming = release({ cam: [layer('NEW', 1000)] });
  const [older, old] = [
    release({ a: [layer('X', 10)], b: [layer('Y', 990)] }),
    release({ c: [layer('Y', 990)] }),
  ];
  expect(bases(layer('NEW', 1000), incoming, older, old)).toEqual(['Y', 'X']);
});

test('the layer itself is no base, nor is one of another platform', () => {
  const incoming = release({ web: [layer('A')] });
  expect(bases(layer('A'), incoming, incoming)).toEqual([]);
  expect(basesOf(layer('B'), incoming, [incoming], 'linux/arm64')).toEqual([]);
});
