import type { Board } from './board.ts';
import { channelBudgetBytes, isSameChannel } from './channels.ts';
import type { Manifest } from './manifest.ts';
import { formatBytes, parseBytes } from './quantities.ts';

/** Memory that the supervisor uses for each service beside the service: its monitor. */
export const MONITOR_BYTES = 2 * 1024 * 1024;

/** Who wants what of a board, and what it has. Bytes and cores. */
export interface Admission {
  fits: boolean;
  rows: { who: string; memoryBytes: number; cpu: number; diskBytes: number }[];
  memory: { wantedBytes: number; availableBytes: number };
  /** Memory that services keep under pressure, against what the reserves leave. */
  memoryMin: { wantedBytes: number; availableBytes: number };
  cpu: { wanted: number; available: number };
  /** What services may fill of the disk. A board does not say what it has: the device checks its free space itself. */
  disk: { wantedBytes: number };
}

type Resources = Manifest['services'][string]['resources'];
type Row = Admission['rows'][number];

/**
 * Σ budgets + monitors + volumes in memory + agent + system reserve ≤ the board. Checked when a release is built,
 * when it is uploaded and on the device. An update's peak is the larger of its two releases, not their sum: services
 * switch stop-then-start, a volume that both declare is one, and the parent cgroup holds whichever is more. One that
 * switches start-then-stop counts twice: the device does so only when the old version asks for no more than the new.
 * A channel that changes is there twice until its last service has switched. A device passes what it runs, `old`; where
 * that is not known the old channels count as much as the new ones.
 */
export function admit(manifest: Manifest, board: Board, old?: Pick<Manifest, 'channels'>): Admission {
  const system = parseBytes(board.reserve.system) ?? 0;
  const agent = parseBytes(board.reserve.agent) ?? 0;
  const startingFirst = Object.entries(manifest.services).filter(
    ([, { update }]) => update?.strategy === 'start-then-stop',
  );
  const rows = [
    row('system reserve', { memoryBytes: system }),
    row('agent', { memoryBytes: agent }),
    ...Object.entries(manifest.services).map(([name, { resources }]) =>
      row(`service ${name}`, {
        memoryBytes: resources.memoryMaxBytes,
        cpu: resources.cpuMax,
        diskBytes: diskOf(resources),
      }),
    ),
    ...startingFirst.map(([name, { resources }]) =>
      row(`service ${name}, old version during its update`, {
        memoryBytes: resources.memoryMaxBytes,
        cpu: resources.cpuMax,
        diskBytes: writableOf(resources),
      }),
    ),
    row('monitors', {
      memoryBytes: (Object.keys(manifest.services).length + startingFirst.length) * MONITOR_BYTES,
    }),
    ...Object.entries(manifest.volumes).map(([name, { sizeBytes, backing }]) =>
      row(`volume ${name}`, backing === 'disk' ? { diskBytes: sizeBytes } : { memoryBytes: sizeBytes }),
    ),
    ...channelRows(manifest, old),
  ];
  const availableBytes = parseBytes(board.memory) ?? 0;
  const memory = { wantedBytes: sum(rows.map((each) => each.memoryBytes)), availableBytes };
  const memoryMin = {
    wantedBytes: sum(
      [...Object.entries(manifest.services), ...startingFirst].map(
        ([, { resources }]) => resources.memoryMinBytes ?? 0,
      ),
    ),
    availableBytes: Math.max(0, availableBytes - system - agent),
  };
  // Hundredths of a core as integers: 0.1 + 0.2 must not be more than 0.3.
  const cpu = { wanted: Math.round(sum(rows.map((each) => each.cpu)) * 100) / 100, available: board.cpus };
  const fits =
    memory.wantedBytes <= memory.availableBytes &&
    memoryMin.wantedBytes <= memoryMin.availableBytes &&
    cpu.wanted <= cpu.available;
  return {
    fits,
    rows,
    memory,
    memoryMin,
    cpu,
    disk: { wantedBytes: sum(rows.map((each) => each.diskBytes)) },
  };
}

/** The refusal, or the all-clear, as a table of fixed columns for people. */
export function admissionTable({ rows, memory, memoryMin, cpu, disk }: Admission): string {
  const hasDisk = disk.wantedBytes > 0;
  const cells = [
    ['', 'memory', 'cpu', 'disk'],
    ...rows.map((each) => [
      each.who,
      formatBytes(each.memoryBytes),
      each.cpu ? String(each.cpu) : '-',
      each.diskBytes ? formatBytes(each.diskBytes) : '-',
    ]),
    ['wanted', formatBytes(memory.wantedBytes), String(cpu.wanted), formatBytes(disk.wantedBytes)],
    ['board has', formatBytes(memory.availableBytes), String(cpu.available), 'not checked'],
  ].map((line) => (hasDisk ? line : line.slice(0, 3)));
  const table = alignedTable(cells);
  if (memoryMin.wantedBytes <= memoryMin.availableBytes) return table;
  const [wanted, has] = [formatBytes(memoryMin.wantedBytes), formatBytes(memoryMin.availableBytes)];
  return `${table}\nkept under pressure (memory.min): ${wanted} wanted, ${has} after the reserves`;
}

function channelRows({ channels = {} }: Manifest, old: Pick<Manifest, 'channels'> | undefined): Row[] {
  const before = old === undefined ? channels : (old.channels ?? {});
  const leaving = Object.entries(before).filter(
    ([name, channel]) => old === undefined || !isSameChannel(channel, channels[name]),
  );
  return [
    ...Object.entries(channels).map(([name, channel]) =>
      row(`channel ${name}`, { memoryBytes: channelBudgetBytes(channel) }),
    ),
    ...leaving.map(([name, channel]) =>
      row(`channel ${name}, the old one during an update`, { memoryBytes: channelBudgetBytes(channel) }),
    ),
  ];
}

const row = (who: string, wants: Partial<Row>): Row => ({
  who,
  memoryBytes: 0,
  cpu: 0,
  diskBytes: 0,
  ...wants,
});

/** A writable layer that is not on the disk is in memory, inside the service's own budget. */
const writableOf = ({ disk }: Resources): number =>
  disk?.backing === 'disk' ? (disk.writableBytes ?? 0) : 0;

const diskOf = (resources: Resources): number => writableOf(resources) + (resources.logs?.sizeBytes ?? 0);

function alignedTable(cells: string[][]): string {
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((line) => line[column]?.length ?? 0)),
  );
  return cells
    .map((line) =>
      line
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  '),
    )
    .join('\n');
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
