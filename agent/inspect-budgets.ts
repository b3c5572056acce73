import { formatBytes } from '../protocol/quantities.ts';
import type { ServiceStatus } from '../protocol/status.ts';
import type { Inspection } from './local-api/inspection.ts';
import type { Budget } from './supervisor/ports.ts';
import type { ServiceSpec } from './supervisor/service-spec.ts';

type Resources = ServiceSpec['resources'];
type Usage = NonNullable<ServiceStatus['usage']>;
type Row = [what: string, asked: string | undefined, held?: string | undefined];

/**
 * Every part of a budget that the release asks for, in words, beside what the kernel holds and what the service uses,
 * where there is such a number.
 */
export function inspectBudgets(
  { resources: asked, mounts }: Pick<ServiceSpec, 'resources' | 'mounts'>,
  held: Budget | undefined,
  usage: Usage | undefined,
): Inspection['budgets'] {
  const used = usage ? useOf(usage) : {};
  return [...kernelRows(asked, held), ...otherRows(asked), volumeRow(mounts)].flatMap(
    ([what, wanted, kept]) => {
      if (wanted === undefined) return [];
      const now = used[what];
      return { what, asked: wanted, ...(kept !== undefined && { held: kept }), ...(now && { used: now }) };
    },
  );
}

function useOf({
  memoryBytes,
  cpu,
  pids,
  diskBytes,
  volumeBytes,
}: Usage): Record<string, string | undefined> {
  return {
    'memory max': formatBytes(memoryBytes),
    'cpu max': `${cpu} cores`,
    processes: String(pids),
    'writable layer': mapped(diskBytes, formatBytes),
    volumes: mapped(volumeBytes, formatBytes),
  };
}

/** All of them together, each once. */
function volumeRow(mounts: ServiceSpec['mounts']): Row {
  const sizes = new Map(mounts.map(({ volume, sizeBytes }) => [volume, sizeBytes]));
  const sum = [...sizes.values()].reduce((total, bytes) => total + bytes, 0);
  return ['volumes', sizes.size === 0 ? undefined : formatBytes(sum)];
}

function kernelRows(asked: Resources, held: Budget | undefined): Row[] {
  const row = <K extends keyof Budget>(
    what: string,
    key: K,
    text: (value: NonNullable<Budget[K]>) => string,
  ): Row => [what, mapped(asked[key] as Budget[K], text), mapped(held?.[key], text)];
  const io = (what: string, key: keyof NonNullable<Budget['io']>, unit: (value: number) => string): Row => [
    what,
    mapped(asked.io?.[key], unit),
    mapped(held?.io?.[key], unit),
  ];
  return [
    row('memory max', 'memoryMaxBytes', formatBytes),
    row('memory high', 'memoryHighBytes', formatBytes),
    row('memory min', 'memoryMinBytes', formatBytes),
    ['swap max', formatBytes(asked.swapMaxBytes ?? 0), mapped(held?.swapMaxBytes, formatBytes)],
    row('cpu max', 'cpuMax', (cores) => `${cores} cores`),
    row('cpu weight', 'cpuWeight', String),
    row('cpus', 'cpuset', String),
    row('processes', 'pidsMax', String),
    io('io weight', 'weight', String),
    io('io read', 'readBps', perSecond),
    io('io write', 'writeBps', perSecond),
    io('io reads', 'readIops', (count) => `${count}/s`),
    io('io writes', 'writeIops', (count) => `${count}/s`),
  ];
}

/** What the kernel holds elsewhere than in the service's cgroup. */
function otherRows({ network, disk, logs, openFiles }: Resources): Row[] {
  return [
    ['network in', mapped(network?.ingressBps, bits)],
    ['network out', mapped(network?.egressBps, bits)],
    ['writable layer', mapped(disk?.writableBytes, formatBytes)],
    ['/tmp', mapped(disk?.tmpBytes, formatBytes)],
    ['/dev/shm', mapped(disk?.shmBytes, formatBytes)],
    ['logs kept', mapped(logs?.sizeBytes, formatBytes)],
    ['log rate', mapped(logs?.rateBytes, perSecond)],
    ['open files', mapped(openFiles, String)],
  ];
}

function mapped<T>(value: T | undefined, text: (value: NonNullable<T>) => string): string | undefined {
  return value === undefined || value === null ? undefined : text(value);
}

const perSecond = (bytes: number): string => `${formatBytes(bytes)}/s`;
const bits = (count: number): string => (count >= 1e6 ? `${count / 1e6} Mbit/s` : `${count / 1e3} kbit/s`);
