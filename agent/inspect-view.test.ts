import { expect, test } from 'vitest';
import { serviceSpec } from '../test/support/service-specs.ts';
import { inspectService } from './inspect-view.ts';
import { fakeService } from './local-api/fake-status.ts';
import type { ServiceSpec } from './supervisor/service-spec.ts';

const MiB = 1024 ** 2;
const release = { name: 'demo', version: '1.0.0', generation: 4 };

function inspect(parts: Partial<Omit<ServiceSpec, 'digest'>>, change = {}, held = {}) {
  return inspectService({
    spec: serviceSpec('web', parts),
    status: fakeService('web', change),
    release,
    held: undefined,
    hostIds: undefined,
    ...held,
  });
}

test('a plain service asks for little and loosens nothing', () => {
  expect(inspect({})).toMatchObject({
    service: 'web',
    release: 'demo 1.0.0',
    kind: 'container',
    criticality: 'normal',
    user: { uid: 1000, gid: 1000 },
    budgets: [
      { what: 'memory max', asked: '16 MiB' },
      { what: 'swap max', asked: '0 B' },
      { what: 'cpu max', asked: '0.5 cores' },
      { what: 'processes', asked: '16' },
    ],
    loosenings: [],
    degraded: [],
    network: { mode: 'none', segments: [], ports: [] },
    restart: 'always, after 100 ms to 1 s, without end',
    stop: 'SIGTERM, then SIGKILL after 2 s',
  });
});

test('what is asked stands beside what the kernel holds and what is used', () => {
  const asked = {
    memoryMaxBytes: 32 * MiB,
    cpuMax: 1,
    pidsMax: 32,
    memoryHighBytes: 24 * MiB,
    io: { writeBps: 2 * MiB, readIops: 50 },
    network: { egressBps: 2_500_000 },
    openFiles: 1024,
    disk: { writableBytes: 8 * MiB },
  };
  const volume = { volume: 'data', path: '/data', readOnly: false, gid: 1000, sizeBytes: 4 * MiB };
  const mounts = [volume, { ...volume, path: '/more' }, { ...volume, volume: 'other' }];
  const usage = {
    memoryBytes: 3 * MiB,
    cpu: 0.25,
    pids: 2,
    throttledMs: 0,
    diskBytes: MiB,
    volumeBytes: 5 * MiB,
  };
  const held = {
    memoryMaxBytes: 32 * MiB,
    cpuMax: 0.99,
    pidsMax: 32,
    swapMaxBytes: 0,
    io: { writeBps: 2 * MiB },
  };
  expect(inspect({ resources: asked, mounts }, { usage }, { held }).budgets).toEqual([
    { what: 'memory max', asked: '32 MiB', held: '32 MiB', used: '3 MiB' },
    { what: 'memory high', asked: '24 MiB' },
    { what: 'swap max', asked: '0 B', held: '0 B' },
    { what: 'cpu max', asked: '1 cores', held: '0.99 cores', used: '0.25 cores' },
    { what: 'processes', asked: '32', held: '32', used: '2' },
    { what: 'io write', asked: '2 MiB/s', held: '2 MiB/s' },
    { what: 'io reads', asked: '50/s' },
    { what: 'network out', asked: '2.5 Mbit/s' },
    { what: 'writable layer', asked: '8 MiB', used: '1 MiB' },
    { what: 'open files', asked: '1024' },
    { what: 'volumes', asked: '8 MiB', used: '5 MiB' },
  ]);
});

test('networks, health, dependencies and places are told in words', () => {
  const parts: Parameters<typeof inspect>[0] = {
    network: 'segments',
    segments: [
      { name: 'front', aliases: ['www'], isInternal: false },
      { name: 'back', aliases: [], isInternal: true },
    ],
    ports: [{ host: 8080, container: 80, protocol: 'tcp', address: '127.0.0.1' }],
    health: {
      check: { kind: 'http', port: 80, path: '/healthz' },
      intervalMs: 90_000,
      timeoutMs: 1_000,
      retries: 3,
      startPeriodMs: 0,
      whenUnhealthy: 'restart',
    },
    dependsOn: { sensor: 'healthy' },
    devices: [
      { kind: 'node', path: '/dev/rtc0', target: '/dev/rtc', access: 'r' },
      { kind: 'cdi', name: 'vendor.com/gpu=0' },
    ],
    secrets: [{ name: 'token', path: '/run/secrets/token' }],
    mounts: [
      { volume: 'data', path: '/data', readOnly: true, gid: 1000, sizeBytes: 64 * MiB, backing: 'disk' },
    ],
    restart: {
      policy: 'on-failure',
      backoffInitialMs: 1_000,
      backoffMaxMs: 60_000,
      maxAttempts: 5,
      resetAfterMs: 600_000,
      whenExhausted: 'reboot',
    },
  };
  const change = {
    addresses: { front: '10.88.1.2' },
    health: { state: 'unhealthy', since: 1, detail: 'HTTP 500' },
    degraded: [{ what: 'io.weight', why: 'no scheduler' }],
  };
  const inspected = inspect(parts, change, { hostIds: { first: 100_000, count: 65_536 } });
  expect(inspected).toMatchObject({
    user: { hostIds: { first: 100_000, count: 65_536 } },
    degraded: [{ what: 'io.weight', why: 'no scheduler' }],
    network: {
      segments: [
        { name: 'front', aliases: ['www'], isInternal: false, address: '10.88.1.2' },
        { name: 'back', aliases: [], isInternal: true },
      ],
      ports: ['127.0.0.1:8080/tcp to 80'],
    },
    health: {
      check: 'GET port 80 /healthz each 90 s, 3 failures in a row restart it',
      state: 'unhealthy',
      detail: 'HTTP 500',
    },
    dependsOn: [{ service: 'sensor', until: 'healthy' }],
    devices: ['/dev/rtc0 at /dev/rtc (read)', 'CDI vendor.com/gpu=0'],
    secrets: ['token at /run/secrets/token'],
    mounts: ['volume data at /data, 64 MiB on disk, read-only'],
    restart: 'on-failure, after 1 s to 1 m; after 5 failures without 10 m of peace the device reboots',
  });
  expect(inspected.loosenings).toHaveLength(3);
});
