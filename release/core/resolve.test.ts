import { expect, test } from 'vitest';
import { canonicalJson } from '../../protocol/canonical.ts';
import { checkManifest } from '../../protocol/manifest.ts';
import { resolveImage, type SourceService } from './resolve.ts';
import { resolveNetworks, resolveVolumes } from './resolve-resources.ts';
import { resolveService } from './resolve-service.ts';

const resources = { memory: { max: '96MiB' }, cpu: { max: 0.25 }, pids: 32 };
const plain: SourceService = { image: 'oci:x', resources, mounts: [{ volume: 'bus', path: '/run/bus' }] };
const images = {
  'linux/amd64': {
    manifestDigest: '0'.repeat(64),
    layers: [{ verity: '1'.repeat(64), size: 4096, diffId: '2'.repeat(64) }],
    args: ['/app'],
    environment: {},
    workingDir: '/',
    uid: 1,
    gid: 1,
  },
};

test('a service of the first release format keeps its bytes', () => {
  // Written by the first version of resolveService for the demo release's sensor.
  expect(canonicalJson(resolveService(plain, {}, undefined))).toBe(
    '{"images":{},"mounts":[{"path":"/run/bus","readOnly":false,"volume":"bus"}],"network":"none","resources":{"cpuMax":0.25,"memoryMaxBytes":100663296,"pidsMax":32},"restart":{"backoffInitialMs":1000,"backoffMaxMs":60000,"maxAttempts":10,"policy":"always","resetAfterMs":60000},"security":{"capabilities":[],"readOnlyRoot":true},"stop":{"graceMs":10000,"signal":"SIGTERM"}}',
  );
  expect(canonicalJson(resolveVolumes({ bus: { size: '4MiB' } }))).toBe(
    '{"bus":{"gid":64000,"sizeBytes":4194304}}',
  );
  expect(resolveNetworks(undefined)).toBeUndefined();
});

test('what is written out as the default is as if it were not there', () => {
  const wordy: SourceService = {
    ...plain,
    resources: { ...resources, memory: { max: '96MiB', swap: '0B' } },
    restart: { whenExhausted: 'fail-release' },
    criticality: 'normal',
    init: false,
    dependsOn: {},
    ports: [],
    devices: [],
    secrets: [],
    security: { userNamespace: 'private', seccomp: 'default', newPrivileges: false, syscalls: [] },
  };
  expect(canonicalJson(resolveService(wordy, images, undefined))).toBe(
    canonicalJson(resolveService(plain, images, undefined)),
  );
  expect(resolveVolumes({ bus: { size: '4MiB', backing: 'memory' } })).toEqual(
    resolveVolumes({ bus: { size: '4MiB' } }),
  );
});

const full: SourceService = {
  image: 'oci:x',
  runtime: 'runc',
  init: true,
  criticality: 'critical',
  dependsOn: { redis: 'healthy', boot: 'completed' },
  restart: { whenExhausted: 'reboot' },
  health: { http: { port: 80, path: '/up' } },
  resources: {
    memory: { max: '96MiB', high: '80MiB', min: '8MiB', swap: '16MiB' },
    cpu: { max: 0.25, weight: 50, cpuset: '0-1' },
    pids: 32,
    io: { weight: 10, read: '1MiB', write: '2MiB', readIops: 3, writeIops: 4 },
    network: { ingress: '10Mbit', egress: '1Mbit' },
    disk: { writable: '8MiB', backing: 'disk', tmp: '1MiB', shm: '2MiB' },
    logs: { size: '1MiB', rate: '64KiB' },
    openFiles: 256,
  },
  networks: { lan: { aliases: ['b', 'a'] }, back: {} },
  ports: [
    { host: 8080, container: 80 },
    { host: 53, container: 53, protocol: 'udp', address: '10.0.0.1' },
  ],
  security: {
    userNamespace: 'host',
    seccomp: 'default',
    syscalls: ['keyctl', 'bpf'],
    newPrivileges: true,
    readOnlyRoot: false,
  },
  devices: [{ path: '/dev/i2c-1', access: 'r' }, { cdi: 'vendor.com/gpu=0' }],
  secrets: [{ name: 'b' }, { name: 'a', path: '/etc/a' }],
};

test('all that a service may ask for is in its manifest, in plain numbers', () => {
  const service = resolveService(full, images, undefined);
  expect(service.resources).toEqual({
    memoryMaxBytes: 96 * 1024 ** 2,
    memoryHighBytes: 80 * 1024 ** 2,
    memoryMinBytes: 8 * 1024 ** 2,
    swapMaxBytes: 16 * 1024 ** 2,
    cpuMax: 0.25,
    cpuWeight: 50,
    cpuset: '0-1',
    pidsMax: 32,
    io: { weight: 10, readBps: 1024 ** 2, writeBps: 2 * 1024 ** 2, readIops: 3, writeIops: 4 },
    network: { ingressBps: 10_000_000, egressBps: 1_000_000 },
    disk: { writableBytes: 8 * 1024 ** 2, backing: 'disk', tmpBytes: 1024 ** 2, shmBytes: 2 * 1024 ** 2 },
    logs: { sizeBytes: 1024 ** 2, rateBytes: 64 * 1024 },
    openFiles: 256,
  });
  expect(service).toMatchObject({
    network: 'segments',
    runtime: 'runc',
    init: true,
    criticality: 'critical',
    dependsOn: { boot: 'completed', redis: 'healthy' },
    restart: { whenExhausted: 'reboot' },
    health: {
      check: { kind: 'http', port: 80, path: '/up' },
      intervalMs: 10_000,
      timeoutMs: 3_000,
      retries: 3,
      startPeriodMs: 0,
      whenUnhealthy: 'restart',
    },
    segments: { back: { aliases: [] }, lan: { aliases: ['a', 'b'] } },
    security: {
      userNamespace: 'host',
      newPrivileges: true,
      syscalls: ['bpf', 'keyctl'],
      readOnlyRoot: false,
    },
    secrets: [
      { name: 'a', path: '/etc/a' },
      { name: 'b', path: '/run/secrets/b' },
    ],
  });
});

const updateOf = (update: SourceService['update']) =>
  resolveService({ ...full, update }, images, undefined).update;

test('what a service asks of its updates is in its manifest, the default is not', () => {
  expect(updateOf({ lease: true, strategy: 'start-then-stop' })).toEqual({
    lease: true,
    strategy: 'start-then-stop',
  });
  expect(updateOf({ strategy: 'start-then-stop' })).toEqual({ strategy: 'start-then-stop' });
  expect(updateOf({ lease: false, strategy: 'stop-then-start' })).toBeUndefined();
});

test('the manifest of a service that asks for everything passes the manifest schema', () => {
  const manifest = {
    v: 1,
    name: 't',
    version: '1',
    boards: ['b'],
    services: { app: resolveService(full, images, undefined) },
    volumes: resolveVolumes({ v: { size: '1MiB', backing: 'disk' } }),
    networks: resolveNetworks({ lan: { internal: true }, back: {} }),
    policy: { soakMs: 0 },
  };
  expect(checkManifest(manifest)).toMatchObject({ ok: true });
});

test('the order of what is a set does not change the manifest', () => {
  const turned: SourceService = {
    ...full,
    ports: [...(full.ports ?? [])].reverse(),
    devices: [...(full.devices ?? [])].reverse(),
    secrets: [...(full.secrets ?? [])].reverse(),
    networks: { back: {}, lan: { aliases: ['a', 'b'] } },
  };
  expect(canonicalJson(resolveService(turned, images, undefined))).toBe(
    canonicalJson(resolveService(full, images, undefined)),
  );
});

const runtime = {
  digest: '0'.repeat(64),
  layers: [],
  accounts: { passwd: '', group: '' },
  config: { entrypoint: ['/run'], command: ['--help'], environment: [], workingDir: '/', user: '1' },
};

test('a WebAssembly service runs its module under the runtime, with arguments of its own and an init', () => {
  const wasm = { ...plain, wasm: 'a.wasm' };
  const argsOf = (more: Partial<SourceService>) => {
    const resolved = resolveImage({ ...wasm, ...more }, runtime);
    return resolved.ok ? resolved.value.args : resolved.fault;
  };
  expect(argsOf({})).toEqual(['/run', '/module.wasm']);
  expect(argsOf({ command: ['tick'] })).toEqual(['/run', '/module.wasm', 'tick']);
  expect(argsOf({ entrypoint: ['/other', '-x'] })).toEqual(['/other', '-x', '/module.wasm']);
  expect(argsOf({ entrypoint: [] })).toContain('has no entrypoint; set entrypoint');
  expect(resolveService(wasm, images, undefined)).toMatchObject({ kind: 'wasm', init: true });
  expect(resolveService({ ...wasm, init: false }, images, undefined)).not.toHaveProperty('init');
  expect(resolveService(plain, images, undefined)).not.toHaveProperty('kind');
});
