import { expect, test } from 'vitest';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import { ociSpec } from './oci-spec.ts';

const place = {
  rootfs: '/run/root',
  cgroupsPath: '/wherry-x/services/one',
  volumePath: (volume: string): string => `/run/volumes/${volume}`,
  hasSwapAccounting: true,
};

const typesOf = (network: 'none' | 'host'): string[] =>
  (
    ociSpec(serviceSpec('one', { network }), place) as { linux: { namespaces: { type: string }[] } }
  ).linux.namespaces.map(({ type }) => type);

test('a service has no privilege that its manifest does not name', () => {
  expect(ociSpec(serviceSpec('one'), place)).toMatchObject({
    root: { path: '/run/root', readonly: true },
    process: {
      noNewPrivileges: true,
      user: { uid: 1000, gid: 1000 },
      capabilities: { bounding: [], permitted: [], effective: [], inheritable: [], ambient: [] },
    },
  });
});

test('a named capability reaches a user that is not root', () => {
  const security = { readOnlyRoot: true, capabilities: ['NET_BIND_SERVICE'] };
  expect(ociSpec(serviceSpec('one', { security }), place)).toMatchObject({
    process: { capabilities: { bounding: ['CAP_NET_BIND_SERVICE'], ambient: ['CAP_NET_BIND_SERVICE'] } },
  });
});

test('a volume brings its group, and no devices, set-uid files or programs', () => {
  const mounts = [{ volume: 'v', path: '/data', readOnly: true, gid: 77, sizeBytes: 4096 }];
  const config = ociSpec(serviceSpec('one', { mounts }), place) as { mounts: object[] };
  expect(config).toMatchObject({ process: { user: { additionalGids: [77] } } });
  expect(config.mounts.at(-1)).toEqual({
    destination: '/data',
    type: 'bind',
    source: '/run/volumes/v',
    options: ['bind', 'nosuid', 'nodev', 'noexec', 'ro'],
  });
});

test('the budget stands in the bundle, memory and swap together', () => {
  expect(ociSpec(serviceSpec('one'), place)).toMatchObject({
    linux: {
      cgroupsPath: '/wherry-x/services/one',
      resources: {
        memory: { limit: 16 * 1024 ** 2, swap: 16 * 1024 ** 2 },
        cpu: { quota: 50_000, period: 100_000 },
        pids: { limit: 16 },
      },
    },
  });
});

test('only network "host" shares the network of the machine', () => {
  expect(typesOf('none')).toContain('network');
  expect(typesOf('host')).not.toContain('network');
});
