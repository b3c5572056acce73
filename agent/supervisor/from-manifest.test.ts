import { expect, test } from 'vitest';
import type { Manifest } from '../../protocol/manifest.ts';
import { serviceSpec } from '../../test/support/service-specs.ts';
import { toServiceSpecs } from './from-manifest.ts';

const { resources, restart, stop, network, security } = serviceSpec('one');
const manifest = (sizeBytes = 8192): Manifest => ({
  v: 1,
  name: 'demo',
  version: '1',
  boards: ['generic'],
  volumes: { shared: { sizeBytes, gid: 5 }, other: { sizeBytes: 4096, gid: 6 } },
  policy: { soakMs: 0 },
  services: {
    one: {
      images: {
        'linux/amd64': {
          manifestDigest: 'a'.repeat(64),
          layers: [{ verity: 'b'.repeat(64), size: 4096, diffId: 'c'.repeat(64) }],
          args: ['/bin/one'],
          environment: {},
          workingDir: '/',
          uid: 1,
          gid: 1,
        },
      },
      resources,
      restart,
      stop,
      network,
      security,
      mounts: [{ volume: 'shared', path: '/data', readOnly: true }],
    },
  },
});

const digestOf = (of: Manifest): string | undefined => {
  const outcome = toServiceSpecs(of, 'linux/amd64');
  return outcome.ok ? outcome.services[0]?.digest : undefined;
};

test('a service takes the layers of this platform and what its volumes are', () => {
  expect(toServiceSpecs(manifest(), 'linux/amd64')).toMatchObject({
    ok: true,
    services: [
      {
        name: 'one',
        layers: ['b'.repeat(64)],
        mounts: [{ volume: 'shared', path: '/data', readOnly: true, gid: 5, sizeBytes: 8192 }],
      },
    ],
  });
});

test('another release version alone does not change a service; its own parts do', () => {
  expect(digestOf({ ...manifest(), version: '2' })).toBe(digestOf(manifest()));
  expect(digestOf(manifest(16384))).not.toBe(digestOf(manifest()));
});

test('a release without an image for this platform is refused by name', () => {
  expect(toServiceSpecs(manifest(), 'linux/arm64')).toMatchObject({
    ok: false,
    code: 'refused.platform',
    message: 'Cannot run service "one": the release holds images for linux/amd64; this device is linux/arm64',
  });
});
