import type { Board } from './board.ts';
import type { Manifest } from './manifest.ts';
import { formatBytes, parseBytes } from './quantities.ts';

/** Who wants what of a board, and what it has. Bytes and cores. */
export interface Admission {
  fits: boolean;
  rows: { who: string; memoryBytes: number; cpu: number }[];
  memory: { wantedBytes: number; availableBytes: number };
  cpu: { wanted: number; available: number };
}

/**
 * Σ budgets + volumes + agent + system reserve ≤ the board. Checked when a release is built, when it is uploaded
 * and on the device. Services switch stop-then-start, so an update's peak is the larger release, not the sum.
 */
export function admit(manifest: Manifest, board: Board): Admission {
  const rows = [
    { who: 'system reserve', memoryBytes: parseBytes(board.reserve.system) ?? 0, cpu: 0 },
    { who: 'agent', memoryBytes: parseBytes(board.reserve.agent) ?? 0, cpu: 0 },
    ...Object.entries(manifest.services).map(([name, { resources }]) => ({
      who: `service ${name}`,
      memoryBytes: resources.memoryMaxBytes,
      cpu: resources.cpuMax,
    })),
    ...Object.entries(manifest.volumes).map(([name, { sizeBytes }]) => ({
      who: `volume ${name}`,
      memoryBytes: sizeBytes,
      cpu: 0,
    })),
  ];
  const memory = {
    wantedBytes: sum(rows.map((row) => row.memoryBytes)),
    availableBytes: parseBytes(board.memory) ?? 0,
  };
  // Hundredths of a core as integers: 0.1 + 0.2 must not be more than 0.3.
  const cpu = { wanted: Math.round(sum(rows.map((row) => row.cpu)) * 100) / 100, available: board.cpus };
  return {
    fits: memory.wantedBytes <= memory.availableBytes && cpu.wanted <= cpu.available,
    rows,
    memory,
    cpu,
  };
}

/** The refusal, or the all-clear, as a table of fixed columns for people. */
export function admissionTable(admission: Admission): string {
  const cells = [
    ['', 'memory', 'cpu'],
    ...admission.rows.map((row) => [row.who, formatBytes(row.memoryBytes), row.cpu ? String(row.cpu) : '-']),
    ['wanted', formatBytes(admission.memory.wantedBytes), String(admission.cpu.wanted)],
    ['board has', formatBytes(admission.memory.availableBytes), String(admission.cpu.available)],
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map(
      ([who = '', memory = '', cpu = '']) =>
        `${who.padEnd(widths[0] ?? 0)}  ${memory.padStart(widths[1] ?? 0)}  ${cpu.padStart(widths[2] ?? 0)}`,
    )
    .join('\n');
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
