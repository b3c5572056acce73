import { expect, test } from 'vitest';
import type { Board } from '../../protocol/board.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import { crossCheck } from './cross-check.ts';

const boards = new Map([['raspberry-pi-4', {} as Board]]);
type Service = ReleaseSource['services'][string];
const faultsOf = (service: Partial<Service>, more: Partial<ReleaseSource> = {}): string[] =>
  crossCheck(
    {
      name: 't',
      version: '1',
      boards: ['raspberry-pi-4'],
      services: {
        app: { image: 'oci:x', resources: { memory: { max: '1MiB' }, cpu: { max: 1 }, pids: 1 }, ...service },
      },
      volumes: { bus: { size: '4KiB' } },
      ...more,
    } as ReleaseSource,
    boards,
  );

test('a sound release has no fault', () => {
  expect(faultsOf({ mounts: [{ volume: 'bus', path: '/run/bus' }] })).toEqual([]);
});

test.each([
  [{}, { boards: ['rasberry-pi-4'] }, 'did you mean "raspberry-pi-4"?'],
  [{ mounts: [{ volume: 'bsu', path: '/x' }] }, {}, 'which volumes does not declare'],
  [{ mounts: [{ volume: 'bus', path: '/a/../etc' }] }, {}, 'without "." or ".."'],
  [{ resources: { memory: { max: '1023KiB' }, cpu: { max: 1 }, pids: 1 } }, {}, 'wanted 1MiB or more'],
  [{ restart: { backoff: { initial: '2s', max: '1s' } } }, {}, 'wanted at least initial, 2s'],
  [{ security: { capabilities: ['CAP_NET_RAWW'] } }, {}, 'did you mean "CAP_NET_RAW"?'],
])('%j %j is a fault', (service, more, message) => {
  expect(faultsOf(service as Partial<Service>, more)).toEqual([expect.stringContaining(message)]);
});
