import { expect, test } from 'vitest';
import type { Manifest } from '../manifest.ts';
import { basesOf, lackingLayers } from './bases.ts';

const layer = (verity: string, size = 100) => ({ verity, size, diffId: verity });
const release = (services: Record<string, ReturnType<typeof layer>[]>): Manifest =>
  ({
    services: Object.fromEntries(
      Object.entries(services).map(([name, layers]) => [name, { images: { 'linux/amd64': { layers } } }]),
    ),
  }) as unknown as Manifest;
const RECEIVER = { platform: 'linux/amd64', board: 'pi' } as const;
const bases = (wanted: ReturnType<typeof layer>, incoming: Manifest, ...held: Manifest[]) =>
  basesOf(wanted, incoming, held, RECEIVER).map(({ verity }) => verity);

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
  expect(basesOf(layer('B'), incoming, [incoming], { ...RECEIVER, platform: 'linux/arm64' })).toEqual([]);
});

test('of a system what stood in the same part of a slot comes first, and only of the same board', () => {
  const system = (boot: string, root: string) => ({ boot: layer(boot), root: layer(root) });
  const withSystem = (boards: Record<string, ReturnType<typeof system>>): Manifest => ({
    ...release({ web: [layer('WEB')] }),
    system: { version: '1', boards },
  });
  const incoming = withSystem({ pi: system('BOOT1', 'ROOT1'), other: system('OB1', 'OR1') });
  const held = withSystem({ pi: system('BOOT0', 'ROOT0'), other: system('OB0', 'OR0') });
  expect(bases(layer('BOOT1'), incoming, held)).toEqual(['BOOT0', 'WEB', 'ROOT0']);
  expect(bases(layer('ROOT1'), incoming, held)[0]).toBe('ROOT0');
  const lacking = (board: string | undefined) =>
    lackingLayers(incoming, [held], { ...RECEIVER, board }).map(({ verity }) => verity);
  expect([lacking('pi'), lacking(undefined)]).toEqual([['BOOT1', 'ROOT1'], []]);
});
