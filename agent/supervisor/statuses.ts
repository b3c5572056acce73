import type { Degradation, ServiceStatus } from '../../protocol/status.ts';
import type { Health } from './core/health.ts';
import { newRecord, type ServiceRecord } from './core/record.ts';
import { instanceAmong } from './core/slots.ts';
import { serviceStatus, type Usage } from './core/status.ts';
import type { DiskUse } from './disk-use.ts';
import { serviceOf } from './instance-name.ts';
import type { CgroupTree, Networks, ObservedContainer } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';
import type { UsageSampler } from './usage-sampler.ts';

interface Known {
  records: ReadonlyMap<string, ServiceRecord>;
  observed: readonly ObservedContainer[];
}

/** What other parts of the machine know of a service. */
export interface ServiceDetails {
  /** What of its isolation this machine cannot hold. */
  degraded(spec: ServiceSpec): Degradation[];
  logs(service: string): ServiceStatus['logs'];
  disk(spec: ServiceSpec): DiskUse;
}

interface Shown {
  cgroups: CgroupTree;
  networks: Networks;
  details?: ServiceDetails | undefined;
}

/** Desired services in their order, then those that are leaving. */
export function serviceStatuses(
  desired: readonly ServiceSpec[],
  { records, observed }: Known,
  { cgroups, networks, details }: Shown,
  sampler: UsageSampler,
  health: ReadonlyMap<string, Health>,
): ServiceStatus[] {
  const containers = new Map(observed.map((container) => [container.service, container]));
  const wanted = new Set(desired.map(({ name }) => serviceOf(name)));
  const show = (name: string, record: ServiceRecord, spec: ServiceSpec | undefined): ServiceStatus =>
    serviceStatus(serviceOf(name), record, spec, {
      container: containers.get(name),
      usage: withDisk(sampler.get(name), spec, details),
      health: health.get(name),
      degraded: spec && [...cgroups.degraded(spec.resources), ...(details?.degraded(spec) ?? [])],
      network: networks.observe(name),
      logs: details?.logs(serviceOf(name)),
    });
  return [
    ...desired.map((spec) => show(spec.name, records.get(spec.name) ?? newRecord(spec, 0), spec)),
    ...[...records]
      .filter(([name]) => !wanted.has(serviceOf(name)) && instanceAmong(serviceOf(name), records) === name)
      .map(([name, record]) => show(name, record, undefined)),
  ];
}

function withDisk(usage: Usage | undefined, spec: ServiceSpec | undefined, details?: ServiceDetails) {
  return usage && spec && details ? { ...usage, ...details.disk(spec) } : usage;
}
