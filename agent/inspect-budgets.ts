import { formatBytes } from '../protocol/quantities.ts';
import type { Inspection } from './local-api/inspection.ts';
import type { Budget } from './supervisor/ports.ts';
import type { ServiceSpec } from './supervisor/service-spec.ts';

type Resources = ServiceSpec['resources'];
type Row = [what: string, asked: string | undefined, held?: string | undefined];

/** Every part of a budget that the release asks for, in words, beside what the kernel holds where it has the number. */
export function inspectBudgets(asked: Resources, held: Budget | undefined): Inspection['budgets'] {
  return [...kernelRows(asked, held), ...otherRows(asked)].flatMap(([what, wanted, kept]) =>
    wanted === undefined ? [] : [{ what, asked: wanted, ...(kept !== undefined && { held: kept }) }],
  );
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
