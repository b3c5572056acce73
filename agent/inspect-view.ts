import { channelBudgetBytes } from '../protocol/channels.ts';
import { looseningsOf } from '../protocol/loosenings.ts';
import { formatBytes } from '../protocol/quantities.ts';
import type { ServiceStatus } from '../protocol/status.ts';
import { inspectBudgets } from './inspect-budgets.ts';
import type { Inspection } from './local-api/inspection.ts';
import type { Budget } from './supervisor/ports.ts';
import type { DesiredServices, ServiceChannel, ServiceSpec } from './supervisor/service-spec.ts';

export interface InspectParts {
  spec: ServiceSpec;
  status: ServiceStatus;
  release: DesiredServices['release'];
  /** What its cgroup holds; undefined when it has none. */
  held: Budget | undefined;
  /** Host ids that stand for its own; undefined when it has the host's. */
  hostIds: { first: number; count: number } | undefined;
  /** Loosenings that this device adds. */
  loosenings?: string[];
}

/** A service in words, beside what this device makes of it. */
export function inspectService({
  spec,
  status,
  release,
  held,
  hostIds,
  loosenings = [],
}: InspectParts): Inspection {
  return {
    service: spec.name,
    state: status.state,
    since: status.since,
    ...(release && { release: `${release.name} ${release.version}` }),
    specDigest: spec.digest,
    kind: spec.kind ?? 'container',
    ...(spec.runtime !== undefined && { runtime: spec.runtime }),
    criticality: spec.criticality ?? 'normal',
    user: { uid: spec.uid, gid: spec.gid, ...(hostIds && { hostIds }) },
    budgets: inspectBudgets(spec, held, status.usage),
    degraded: status.degraded ?? [],
    loosenings: [...looseningsOf(spec), ...loosenings],
    network: inspectNetwork(spec, status),
    ...(spec.health && { health: inspectHealth(spec.health, status.health) }),
    dependsOn: Object.entries(spec.dependsOn ?? {}).map(([service, until]) => ({ service, until })),
    restart: describeRestart(spec.restart),
    stop: `${spec.stop.signal}, then SIGKILL after ${span(spec.stop.graceMs)}`,
    devices: (spec.devices ?? []).map((device) =>
      device.kind === 'cdi'
        ? `CDI ${device.name}`
        : `${device.path} at ${device.target} (${device.access === 'rw' ? 'read and write' : 'read'})`,
    ),
    secrets: (spec.secrets ?? []).map(({ name, path }) => `${name} at ${path}`),
    mounts: spec.mounts.map(describeMount),
    channels: (spec.channels ?? []).map((channel) => describeChannel(channel, spec.name)),
    ...(status.logs && { logs: status.logs }),
  };
}

function inspectNetwork(spec: ServiceSpec, { addresses = {} }: ServiceStatus): Inspection['network'] {
  return {
    mode: spec.network,
    segments: (spec.segments ?? []).map(({ name, aliases, isInternal }) => {
      const address = addresses[name];
      return { name, isInternal, aliases, ...(address !== undefined && { address }) };
    }),
    ports: (spec.ports ?? []).map(
      ({ host, container, protocol, address = '*' }) => `${address}:${host}/${protocol} to ${container}`,
    ),
  };
}

function inspectHealth(
  { check, intervalMs, retries, whenUnhealthy }: NonNullable<ServiceSpec['health']>,
  seen: ServiceStatus['health'],
): NonNullable<Inspection['health']> {
  const what =
    check.kind === 'exec'
      ? `runs ${check.args.join(' ')}`
      : check.kind === 'http'
        ? `GET port ${check.port} ${check.path}`
        : `connects to port ${check.port}`;
  const then = whenUnhealthy === 'restart' ? 'restart it' : 'are reported';
  return {
    check: `${what} each ${span(intervalMs)}, ${retries} failures in a row ${then}`,
    ...(seen && { state: seen.state }),
    ...(seen?.detail !== undefined && { detail: seen.detail }),
  };
}

function describeRestart({
  policy,
  backoffInitialMs,
  backoffMaxMs,
  maxAttempts,
  resetAfterMs,
  whenExhausted,
}: ServiceSpec['restart']): string {
  if (policy === 'never') return 'never';
  const wait = `${policy}, after ${span(backoffInitialMs)} to ${span(backoffMaxMs)}`;
  if (maxAttempts === 0) return `${wait}, without end`;
  const end = { 'stay-failed': 'it stays failed', reboot: 'the device reboots' };
  const then = whenExhausted === undefined ? 'the release fails' : end[whenExhausted];
  return `${wait}; after ${maxAttempts} failures without ${span(resetAfterMs)} of peace ${then}`;
}

function describeMount({
  volume,
  path,
  readOnly,
  sizeBytes,
  backing,
}: ServiceSpec['mounts'][number]): string {
  const where = backing === 'disk' ? 'on disk' : 'in memory';
  return `volume ${volume} at ${path}, ${formatBytes(sizeBytes)} ${where}${readOnly ? ', read-only' : ''}`;
}

function describeChannel(channel: ServiceChannel, service: string): string {
  const { name, publishers, subscribers, depth, slotSizeBytes, mode } = channel;
  const does = [
    ...(publishers.includes(service) ? ['publishes to'] : []),
    ...(subscribers.includes(service) ? ['subscribes to'] : []),
  ].join(' and ');
  const ring = `${depth} x ${formatBytes(slotSizeBytes)} ${mode}`;
  return `${does} ${name}, ${ring}, ${formatBytes(channelBudgetBytes(channel))} of its own`;
}

/** 90_000 → "90 s": in the largest unit that takes it whole. */
function span(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const;
  const fit = ms > 0 ? units.find(([, size]) => ms % size === 0) : undefined;
  return fit ? `${ms / fit[1]} ${fit[0]}` : `${ms} ms`;
}

export interface InspectorParts {
  desired(): DesiredServices;
  statuses(): ServiceStatus[];
  /** What the service's cgroup holds. */
  held(service: string): Promise<Budget | undefined>;
  hostIds(spec: ServiceSpec): Promise<InspectParts['hostIds']>;
  loosenings(spec: ServiceSpec): string[];
}

/** The `inspect` of the local API; undefined for a service that the release in force does not hold. */
export function inspector({ desired, statuses, held, hostIds, loosenings }: InspectorParts) {
  return async (service: string): Promise<Inspection | undefined> => {
    const { release, services } = desired();
    const spec = services.find(({ name }) => name === service);
    const status = statuses().find(({ name }) => name === service);
    if (spec === undefined || status === undefined) return undefined;
    const isHeld = status.pid !== undefined;
    return inspectService({
      spec,
      status,
      release,
      held: isHeld ? await held(service) : undefined,
      hostIds: await hostIds(spec),
      loosenings: loosenings(spec),
    });
  };
}
