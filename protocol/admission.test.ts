import { expect, test } from 'vitest';
import { admissionTable, admit } from './admission.ts';
import type { Board } from './board.ts';
import type { Manifest } from './manifest.ts';

const MIB = 1024 ** 2;
const board: Board = {
  name: 'small',
  title: 'Small',
  platform: 'linux/arm64',
  memory: '256MiB',
  cpus: 1,
  reserve: { system: '64MiB', agent: '64MiB' },
};
const release = (
  budgets: Record<string, { memory: number; cpu: number }>,
  volumes: Manifest['volumes'] = {},
) =>
  ({
    services: Object.fromEntries(
      Object.entries(budgets).map(([name, { memory, cpu }]) => [
        name,
        { resources: { memoryMaxBytes: memory, cpuMax: cpu, pidsMax: 8 } },
      ]),
    ),
    volumes,
  }) as unknown as Manifest;

test('budgets that fill the board to the last byte and the last core fit', () => {
  const admission = admit(
    release({
      a: { memory: 98 * MIB, cpu: 0.1 },
      b: { memory: 24 * MIB, cpu: 0.2 },
      c: { memory: 0, cpu: 0.7 },
    }),
    board,
  );
  expect(admission).toMatchObject({ fits: true, memory: { wantedBytes: 256 * MIB }, cpu: { wanted: 1 } });
});

test.each([
  ['one byte of memory', release({ a: { memory: 126 * MIB + 1, cpu: 1 } })],
  ['a hundredth of a core', release({ a: { memory: MIB, cpu: 1.01 } })],
  ['a volume', release({ a: { memory: 126 * MIB, cpu: 1 } }, { bus: { sizeBytes: 4096, gid: 1 } })],
])('%s too much does not fit', (_what, manifest) => {
  expect(admit(manifest, board).fits).toBe(false);
});

const twice = (memory: number, cpu: number): Manifest => {
  const manifest = release({ a: { memory, cpu } });
  Object.assign(manifest.services.a ?? {}, { update: { strategy: 'start-then-stop' } });
  return manifest;
};

test('a service that starts before it stops counts twice, with two monitors', () => {
  expect(admit(twice(62 * MIB, 0.5), board)).toMatchObject({
    fits: true,
    memory: { wantedBytes: 256 * MIB },
    cpu: { wanted: 1 },
  });
  expect(admit(twice(62 * MIB + 1, 0.5), board).fits).toBe(false);
  expect(admit(twice(62 * MIB, 0.51), board).fits).toBe(false);
});

test('the table names who wants what and what the board has', () => {
  expect(
    admissionTable(
      admit(
        release({ camera: { memory: 300 * MIB, cpu: 0.5 } }, { bus: { sizeBytes: 4 * MIB, gid: 1 } }),
        board,
      ),
    ),
  ).toBe(
    [
      '                 memory  cpu',
      'system reserve   64 MiB    -',
      'agent            64 MiB    -',
      'service camera  300 MiB  0.5',
      'monitors          2 MiB    -',
      'volume bus        4 MiB    -',
      'wanted          434 MiB  0.5',
      'board has       256 MiB    1',
    ].join('\n'),
  );
});

test('what is on the disk takes no memory and is told, though no board says what it has', () => {
  const manifest = release(
    { a: { memory: 126 * MIB, cpu: 1 } },
    { data: { sizeBytes: 512 * MIB, gid: 1, backing: 'disk' } },
  );
  Object.assign(manifest.services['a']?.resources ?? {}, {
    disk: { writableBytes: 8 * MIB, backing: 'disk' },
    logs: { sizeBytes: 4 * MIB },
  });
  const admission = admit(manifest, board);
  expect(admission).toMatchObject({ fits: true, disk: { wantedBytes: 524 * MIB } });
  expect(admissionTable(admission).split('\n').slice(-3)).toEqual([
    'volume data         0 B    -      512 MiB',
    'wanted          256 MiB    1      524 MiB',
    'board has       256 MiB    1  not checked',
  ]);
});

test('more memory kept under pressure than the reserves leave does not fit', () => {
  const manifest = release({ a: { memory: 64 * MIB, cpu: 1 } });
  Object.assign(manifest.services['a']?.resources ?? {}, { memoryMinBytes: 128 * MIB + 4096 });
  const admission = admit(manifest, board);
  expect(admission.fits).toBe(false);
  expect(admissionTable(admission)).toContain('kept under pressure (memory.min): 128');
});
