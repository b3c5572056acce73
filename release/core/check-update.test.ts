import { expect, test } from 'vitest';
import { updateFaults } from './check-update.ts';
import type { SourceService } from './resolve.ts';

const service = (parts: Partial<SourceService>): SourceService => ({
  image: 'oci:x',
  resources: { memory: { max: '16MiB' }, cpu: { max: 0.5 }, pids: 16 },
  ...parts,
});
const update = { strategy: 'start-then-stop' } as const;

test('a service that two versions can be of at once may start first', () => {
  const shared = { volume: 'spool', path: '/spool' };
  const faults = updateFaults({
    web: service({
      update,
      networks: { front: {} },
      mounts: [shared, { ...shared, volume: 'ro', readOnly: true }],
    }),
    reader: service({ mounts: [shared] }),
  });
  expect(faults).toEqual([]);
});

test.each<[Partial<SourceService>, string]>([
  [{ ports: [{ host: 80, container: 80 }] }, 'publish the same port'],
  [{ network: 'host' }, 'own network'],
  [{ devices: [{ path: '/dev/ttyS0' }] }, 'same device'],
  [{ mounts: [{ volume: 'data', path: '/data' }] }, 'volume "data"'],
])('one that has %o may not', (parts, what) => {
  expect(updateFaults({ web: service({ update, ...parts }) })).toEqual([
    expect.stringMatching(new RegExp(`^services.web.update.strategy .*${what}.*; use stop-then-start$`)),
  ]);
  expect(updateFaults({ web: service(parts) })).toEqual([]);
});
