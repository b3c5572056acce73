import type { ManifestService } from '../../protocol/manifest.ts';
import { parseDurationMs } from '../../protocol/quantities.ts';
import type { SourceService } from './resolve.ts';
import { present, resolveResources, sortedEntries } from './resolve-resources.ts';

export const DEFAULTS = {
  backoffInitialMs: 1_000,
  backoffMaxMs: 60_000,
  maxAttempts: 10,
  resetAfterMs: 60_000,
  stopSignal: 'SIGTERM',
  stopGraceMs: 10_000,
  soakMs: 30_000,
  healthIntervalMs: 10_000,
  healthTimeoutMs: 3_000,
  healthRetries: 3,
} as const;

/**
 * Everything of a service but its images. `imageStopSignal` is the image's wish. Members of the first release
 * format are always there with their defaults; later ones only where release.yaml asks for more than the default.
 */
export function resolveService(
  service: SourceService,
  images: ManifestService['images'],
  imageStopSignal: string | undefined,
): ManifestService {
  const { stop, networks } = service;
  return {
    images,
    resources: resolveResources(service.resources),
    restart: resolveRestart(service.restart),
    stop: {
      signal: stop?.signal ?? imageStopSignal ?? DEFAULTS.stopSignal,
      graceMs: durationOf(stop?.grace, DEFAULTS.stopGraceMs),
    },
    network: networks ? 'segments' : (service.network ?? 'none'),
    security: resolveSecurity(service.security),
    mounts: (service.mounts ?? []).map(({ volume, path, readOnly }) => ({
      volume,
      path,
      readOnly: readOnly ?? false,
    })),
    ...present({
      kind: service.wasm === undefined ? undefined : ('wasm' as const),
      runtime: service.runtime,
      // A module has no signal handlers, and without one process 1 of a container does not see SIGTERM.
      init: (service.init ?? service.wasm !== undefined) ? (true as const) : undefined,
      criticality: service.criticality === 'normal' ? undefined : service.criticality,
      dependsOn: service.dependsOn && filled(Object.fromEntries(sortedEntries(service.dependsOn))),
      health: service.health && resolveHealth(service.health),
      segments: networks && resolveSegments(networks),
      ...resolveLists(service),
      update: resolveUpdate(service.update),
    }),
  };
}

const resolveUpdate = (update: SourceService['update']): ManifestService['update'] =>
  filled({
    ...(update?.lease && { lease: true as const }),
    ...(update?.strategy === 'start-then-stop' && { strategy: update.strategy }),
  });

function resolveRestart(restart: SourceService['restart']): ManifestService['restart'] {
  const whenExhausted = restart?.whenExhausted;
  return {
    policy: restart?.policy ?? 'always',
    backoffInitialMs: durationOf(restart?.backoff?.initial, DEFAULTS.backoffInitialMs),
    backoffMaxMs: durationOf(restart?.backoff?.max, DEFAULTS.backoffMaxMs),
    maxAttempts: restart?.maxAttempts ?? DEFAULTS.maxAttempts,
    resetAfterMs: durationOf(restart?.resetAfter, DEFAULTS.resetAfterMs),
    ...(whenExhausted !== undefined && whenExhausted !== 'fail-release' && { whenExhausted }),
  };
}

function resolveSecurity(security: SourceService['security']): ManifestService['security'] {
  return {
    readOnlyRoot: security?.readOnlyRoot ?? true,
    capabilities: [...(security?.capabilities ?? [])].sort(),
    ...(security?.userNamespace === 'host' && { userNamespace: 'host' }),
    ...(security?.seccomp === 'unconfined' && { seccomp: 'unconfined' }),
    ...(security?.syscalls?.length && { syscalls: [...security.syscalls].sort() }),
    ...(security?.newPrivileges && { newPrivileges: true }),
  };
}

/** The cross-check has seen to it that there is exactly one check. */
function resolveHealth(health: NonNullable<SourceService['health']>): ManifestService['health'] {
  const { exec, http, tcp } = health;
  const check = exec
    ? { kind: 'exec' as const, args: exec }
    : http
      ? { kind: 'http' as const, port: http.port, path: http.path }
      : { kind: 'tcp' as const, port: tcp?.port ?? 0 };
  return {
    check,
    intervalMs: durationOf(health.interval, DEFAULTS.healthIntervalMs),
    timeoutMs: durationOf(health.timeout, DEFAULTS.healthTimeoutMs),
    retries: health.retries ?? DEFAULTS.healthRetries,
    startPeriodMs: durationOf(health.startPeriod, 0),
    whenUnhealthy: health.whenUnhealthy ?? 'restart',
  };
}

const resolveSegments = (networks: NonNullable<SourceService['networks']>): ManifestService['segments'] =>
  Object.fromEntries(
    sortedEntries(networks).map(([name, { aliases }]) => [name, { aliases: [...(aliases ?? [])].sort() }]),
  );

/** Each is a set: its order in release.yaml says nothing. */
function resolveLists({ ports, devices, secrets }: SourceService) {
  return {
    ports: listOf(ports, ({ host, container, protocol, address }) => ({
      host,
      container,
      protocol: protocol ?? ('tcp' as const),
      ...(address !== undefined && { address }),
    })),
    devices: listOf(devices, ({ path, target, access, cdi }) =>
      cdi === undefined
        ? {
            kind: 'node' as const,
            path: path ?? '',
            target: target ?? path ?? '',
            access: access ?? ('rw' as const),
          }
        : { kind: 'cdi' as const, name: cdi },
    ),
    secrets: listOf(secrets, ({ name, path }) => ({ name, path: path ?? `/run/secrets/${name}` })),
  };
}

function listOf<From, To>(items: readonly From[] | undefined, resolve: (item: From) => To): To[] | undefined {
  if (!items?.length) return undefined;
  const keyed = items.map(resolve).map((item) => ({ item, key: JSON.stringify(item) }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}

const filled = <T extends object>(record: T): T | undefined =>
  Object.keys(record).length > 0 ? record : undefined;

export const durationOf = (text: string | undefined, fallback: number): number =>
  text === undefined ? fallback : (parseDurationMs(text) ?? fallback);
