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
      a: { memory: 100 * MIB, cpu: 0.1 },
      b: { memory: 28 * MIB, cpu: 0.2 },
      c: { memory: 0, cpu: 0.7 },
    }),
    board,
  );
  expect(admission).toMatchObject({ fits: true, memory: { wantedBytes: 256 * MIB }, cpu: { wanted: 1 } });
});

test.each([
  ['one byte of memory', release({ a: { memory: 128 * MIB + 1, cpu: 1 } })],
  ['a hundredth of a core', release({ a: { memory: MIB, cpu: 1.01 } })],
  ['a volume', release({ a: { memory: 128 * MIB, cpu: 1 } }, { bus: { sizeBytes: 4096, gid: 1 } })],
])('%s too much does not fit', (_what, manifest) => {
  expect(admit(manifest, board).fits).toBe(false);
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
      'volume bus        4 MiB    -',
      'wanted          432 MiB  0.5',
      'board has       256 MiB    1',
    ].join('\n'),
  );
});
