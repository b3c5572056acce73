import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { canonicalJson, sha256Hex } from '../../protocol/canonical.ts';

type Parts = Partial<Omit<ServiceSpec, 'digest'>>;

/** A small service; whatever matters to a test is named in `parts`. The digest follows from the rest. */
export function serviceSpec(name: string, parts: Parts = {}): ServiceSpec {
  const rest: Omit<ServiceSpec, 'digest'> = {
    name,
    layers: ['0'.repeat(64)],
    args: ['/bin/sleep', '1000'],
    environment: { PATH: '/bin' },
    workingDir: '/',
    uid: 1000,
    gid: 1000,
    resources: { memoryMaxBytes: 16 * 1024 ** 2, cpuMax: 0.5, pidsMax: 16 },
    restart: {
      policy: 'always',
      backoffInitialMs: 100,
      backoffMaxMs: 1000,
      maxAttempts: 0,
      resetAfterMs: 10_000,
    },
    stop: { signal: 'SIGTERM', graceMs: 2000 },
    network: 'none',
    security: { readOnlyRoot: true, capabilities: [] },
    mounts: [],
    ...parts,
  };
  return { ...rest, digest: sha256Hex(canonicalJson(rest)) };
}

/** A service that runs a script in the shell of an image. */
export const shellService = (verity: string, name: string, script: string, parts: Parts = {}): ServiceSpec =>
  serviceSpec(name, {
    layers: [verity],
    args: ['/bin/sh', '-c', script],
    stop: { signal: 'SIGTERM', graceMs: 500 },
    ...parts,
  });
