import { formatBytes } from '../../../protocol/quantities.ts';
import type { ServiceStatus } from '../../../protocol/status.ts';
import { formatDuration } from './duration.ts';
import { type Column, hang, layOutTable, printable } from './layout.ts';
import { marksOf, plain } from './status.ts';

const COLUMNS: Column[] = [
  { title: 'NAME', align: 'left' },
  { title: 'STATE', align: 'left' },
  { title: 'FOR', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'PIDS', align: 'right' },
];

/** Lines of the heading and of each service; `row` is the index of the one that holds the state. */
export interface ServicesTable {
  heading: string[];
  services: string[][];
  row: number;
}

/** Use against budget with the newest reason; what does not fit `width` moves below its service, never out of sight. */
export function servicesTable(services: ServiceStatus[], now: number, width: number): ServicesTable {
  const rows = services.map((service) => cells(service, now));
  const reasons = services.map(remark);
  const beside = layOutTable(
    [...COLUMNS, { title: 'REASON', align: 'left' }],
    rows.map((row, index) => [...row, reasons[index] ?? '']),
  );
  if (fits(beside, width)) return table(beside.map((line) => [line]));
  const below = reasons.map((reason) => hang('  ', reason, width));
  const narrow = layOutTable(COLUMNS, rows);
  if (fits(narrow, width)) return table(narrow.map((line, index) => [line, ...(below[index - 1] ?? [])]));
  const nameless = layOutTable(
    COLUMNS.slice(1),
    rows.map((row) => row.slice(1)),
  );
  const names = ['NAME', ...services.map(({ name }) => name)];
  return table(
    nameless.map((line, index) => [names[index] ?? '', `  ${line}`, ...(below[index - 1] ?? [])]),
    1,
  );
}

const fits = (lines: string[], width: number): boolean => lines.every((line) => [...line].length <= width);

function table([heading = [], ...services]: string[][], row = 0): ServicesTable {
  return { heading, services, row };
}

/** "[wasm, unhealthy, degraded] The release wants it …" */
function remark(service: ServiceStatus): string {
  const marks = [...(service.kind ? [service.kind] : []), ...marksOf(service)];
  return `${marks.length ? `[${marks.join(', ')}] ` : ''}${printable(service.reason.message)}`;
}

/** Use/budget, "-" for the use of what does not run. CPU is in cores. */
function cells({ name, state, since, restarts, budget, usage }: ServiceStatus, now: number): string[] {
  return [
    name,
    plain(state),
    formatDuration(now - since),
    String(restarts),
    ofBudget(usage?.memoryBytes, budget.memoryMaxBytes),
    `${usage ? usage.cpu.toFixed(2) : '-'}/${budget.cpuMax}`,
    `${usage?.pids ?? '-'}/${budget.pidsMax}`,
  ];
}

/** "12.4/32 MiB": the unit once where both share it. */
function ofBudget(used: number | undefined, max: number): string {
  const limit = formatBytes(max);
  if (used === undefined) return `-/${limit}`;
  const [amount, unit] = formatBytes(used).split(' ');
  return limit.endsWith(` ${unit}`) ? `${amount}/${limit}` : `${amount} ${unit}/${limit}`;
}
