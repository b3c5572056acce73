import { formatBytes } from '../../../protocol/quantities.ts';
import type { Pressure, ServiceState } from '../../../protocol/status.ts';
import { formatDuration } from './duration.ts';
import type { TopFrame, TopOrder, TopService } from './top.ts';

/** A piece of a line and what is to be said of it by colour. */
export interface TopCell {
  text: string;
  mood?: 'dim' | 'bold' | 'good' | 'warn' | 'bad';
}

interface Column {
  title: string;
  width: number;
  align: 'left' | 'right';
  cell: (service: TopService) => TopCell;
}

/** A share of a budget from which on it is worth a look. */
const MUCH = 0.9;
const NAME_LEAST = 8;

/** In eight characters; `wherry ps` has them in full. */
const STATES: Record<ServiceState, [word: string, mood: NonNullable<TopCell['mood']>]> = {
  running: ['running', 'good'],
  completed: ['done', 'good'],
  stopped: ['stopped', 'dim'],
  waiting: ['waiting', 'warn'],
  shed: ['shed', 'warn'],
  starting: ['starting', 'warn'],
  stopping: ['stopping', 'warn'],
  backing_off: ['backoff', 'warn'],
  crash_looping: ['crashing', 'bad'],
  failed: ['failed', 'bad'],
};

const COLUMNS: Column[] = [
  {
    title: 'STATE',
    width: 8,
    align: 'left',
    cell: ({ state }) => ({ text: STATES[state][0], mood: STATES[state][1] }),
  },
  {
    title: 'CPU',
    width: 9,
    align: 'right',
    cell: ({ cpu, cpuMax, cpuShare }) =>
      loaded(`${cpu?.toFixed(2) ?? '-'}/${Number(cpuMax.toFixed(2))}`, cpuShare),
  },
  {
    title: 'MEMORY',
    width: 11,
    align: 'right',
    cell: (its) => loaded(`${short(its.memoryBytes)}/${short(its.memoryMaxBytes)}`, its.memoryShare),
  },
  {
    title: 'M/IO/CPU',
    width: 8,
    align: 'right',
    cell: ({ memoryPressure, ioPressure, cpuPressure }) => {
      const all = [memoryPressure, ioPressure, cpuPressure];
      const text = all.every((each) => each === undefined) ? '-' : all.map(whole).join('/');
      return { text, ...(Math.max(...all.map((each) => each ?? 0)) >= 10 && { mood: 'warn' }) };
    },
  },
  {
    title: 'HELD',
    width: 5,
    align: 'right',
    cell: ({ throttledPercent, isThrottled }) => ({
      text: `${throttledPercent === undefined ? '-' : `${throttledPercent}%`}${isThrottled ? '!' : ''}`,
      ...(isThrottled || (throttledPercent ?? 0) >= 10 ? { mood: 'warn' } : {}),
    }),
  },
  { title: 'RST', width: 4, align: 'right', cell: ({ restarts }) => count(restarts) },
  { title: 'OOM', width: 3, align: 'right', cell: ({ oomKills }) => count(oomKills) },
  {
    title: 'CHANNEL',
    width: 7,
    align: 'right',
    cell: ({ channels }) => ({
      text:
        channels === undefined ? '-' : `${si(channels.messagesPerSecond)}/s${channels.lost > 0 ? '!' : ''}`,
      ...(channels && channels.lost > 0 ? { mood: 'warn' } : {}),
    }),
  },
];

const OTHERS = COLUMNS.reduce((sum, { width }) => sum + width + 1, 0);

export interface TopPage {
  columns: number;
  /** Infinity where nothing is to be cut off. */
  rows: number;
  order: TopOrder;
  /** Of the frame, as people read it. */
  time: string;
  /** Keys do something. */
  isLive: boolean;
}

/** A frame as lines of cells that fit the page: no line is wider, and services that do not fit are counted. */
export function topLines(frame: TopFrame, page: TopPage): TopCell[][] {
  const head = [deviceLine(frame, page.time), memoryLine(frame), servicesLine(frame, page)];
  const longest = Math.max(NAME_LEAST, ...frame.services.map(({ name }) => name.length));
  const name = Math.max(NAME_LEAST, Math.min(longest, page.columns - OTHERS));
  const room = page.rows - head.length - 1;
  const fits =
    frame.services.length <= room ? frame.services : frame.services.slice(0, Math.max(0, room - 1));
  const hidden = frame.services.length - fits.length;
  const lines: TopCell[][] = [
    ...head.map((text) => [{ text }]),
    [{ text: heading(name), mood: 'dim' }],
    ...fits.map((service) => row(service, name)),
    ...(hidden > 0
      ? [
          [
            {
              text: `and ${hidden} more: a taller terminal, or another order, shows them`,
              mood: 'dim' as const,
            },
          ],
        ]
      : []),
  ];
  return lines.slice(0, page.rows).map((line) => cut(line, page.columns));
}

function deviceLine({ device }: TopFrame, time: string): string {
  const { temperatureCelsius: celsius, throttling } = device;
  return [
    time,
    `up ${formatDuration(device.uptimeMs)}`,
    `load ${device.load1.toFixed(2)}`,
    ...(celsius === undefined ? [] : [`${celsius.toFixed(1)} °C`]),
    ...(throttling?.now ?? []),
  ].join('  ');
}

function memoryLine({ device }: TopFrame): string {
  const { memoryPressure, ioPressure, cpuPressure } = device;
  const pressures = Object.entries({ memory: memoryPressure, io: ioPressure, cpu: cpuPressure }).flatMap(
    ([what, pressure]: [string, Pressure | undefined]) =>
      pressure ? [`${what} ${pressure.some.toFixed(0)} %`] : [],
  );
  const free = `${formatBytes(device.memoryAvailableBytes)} free of ${formatBytes(device.memoryTotalBytes)}`;
  return pressures.length ? `${free}  pressure: ${pressures.join(', ')}` : free;
}

function servicesLine({ services }: TopFrame, { order, isLive }: TopPage): string {
  const up = services.filter(({ state }) => state === 'running' || state === 'completed').length;
  const keys = isLive ? '  [c m p t r n] order  [q] end' : '';
  return `${up} of ${services.length} up, by ${order}${keys}`;
}

const heading = (name: number): string =>
  ['NAME'.padEnd(name), ...COLUMNS.map(({ title, width, align }) => pad(title, width, align))].join(' ');

function row(service: TopService, width: number): TopCell[] {
  const cells = COLUMNS.flatMap(({ width, align, cell }): TopCell[] => {
    const { text, mood } = cell(service);
    return [{ text: ' ' }, { text: pad(text, width, align), ...(mood && { mood }) }];
  });
  return [{ text: shortName(service.name, width).padEnd(width) }, ...cells];
}

/** Begin and end of a name tell services apart. */
function shortName(name: string, width: number): string {
  if (name.length <= width) return name;
  const end = Math.floor((width - 1) / 2);
  return `${name.slice(0, width - 1 - end)}…${name.slice(-end)}`;
}

function cut(line: TopCell[], columns: number): TopCell[] {
  let left = columns;
  return line.map((cell) => {
    const text = [...cell.text].slice(0, left).join('');
    left -= [...text].length;
    return { ...cell, text };
  });
}

const loaded = (text: string, used: number | undefined): TopCell => ({
  text,
  ...(used !== undefined && used >= MUCH && { mood: used >= 1 ? 'bad' : 'warn' }),
});

const count = (number: number): TopCell => ({ text: si(number), ...(number > 0 && { mood: 'warn' }) });

const whole = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(0));

/** "812K", "12.4M": at most four characters. */
function short(bytes: number | undefined): string {
  if (bytes === undefined) return '-';
  for (const [unit, size] of [
    ['G', 1024 ** 3],
    ['M', 1024 ** 2],
    ['K', 1024],
  ] as const) {
    const amount = bytes / size;
    if (amount >= 1)
      return `${amount >= 99.95 || Number.isInteger(amount) ? amount.toFixed(0) : amount.toFixed(1)}${unit}`;
  }
  return `${bytes}B`;
}

/** "999", "1.2k", "35k". */
function si(value: number): string {
  if (value < 999.5) return value.toFixed(value < 9.95 && !Number.isInteger(value) ? 1 : 0);
  if (value < 999_500) return `${(value / 1000).toFixed(value < 9_950 ? 1 : 0)}k`;
  return `${(value / 1e6).toFixed(1)}M`;
}

const pad = (text: string, width: number, align: Column['align']): string =>
  align === 'left' ? text.padEnd(width) : text.padStart(width);
