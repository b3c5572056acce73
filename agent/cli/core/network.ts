import { formatBytes } from '../../../protocol/quantities.ts';
import type { NetAnswer } from '../../local-api/answers.ts';
import { type Column, hang, layOutTable } from './layout.ts';

export interface NetworkLine {
  text: string;
  isHeading?: true;
}

const left = (...titles: string[]): Column[] => titles.map((title) => ({ title, align: 'left' }));
const right = (...titles: string[]): Column[] => titles.map((title) => ({ title, align: 'right' }));

/** The tables of `wherry net`, one below the other; the rules' names are explained. */
export function networkLines(answer: NetAnswer, columns: number): NetworkLine[] {
  const { segments, seats, ports, rules } = answer;
  return [
    ...table(
      left('SEGMENT', 'SUBNET', 'GATEWAY', 'BRIDGE', 'STATE', 'WAY OUT'),
      segments.map(({ name, subnet, gateway, bridge, isUp, isInternal }) => [
        name,
        subnet,
        gateway,
        bridge,
        isUp ? 'up' : 'down',
        isInternal ? 'no' : 'yes',
      ]),
    ),
    ...table(
      [...left('SERVICE', 'SEGMENT', 'ADDRESS'), ...right('RECEIVED', 'SENT', 'DROPPED', 'IN', 'OUT')],
      seats.map(seatCells),
    ),
    ...table(
      left('PORT', 'SERVICE', 'LEADS TO'),
      ports.map(({ protocol, address = '*', port, service, to }) => [
        `${address}:${port}/${protocol}`,
        service,
        to,
      ]),
    ),
    ...rulesLines(rules, columns),
  ];
}

function table(columns: Column[], rows: string[][]): NetworkLine[] {
  if (rows.length === 0) return [];
  const [heading = '', ...lines] = layOutTable(columns, rows);
  return [{ text: heading, isHeading: true }, ...lines.map((text) => ({ text })), { text: '' }];
}

/** "14/0" dropped: on the way to the service, and from it. */
const seatCells = (seat: NetAnswer['seats'][number]): string[] => [
  seat.service,
  seat.segment,
  `${seat.address}${seat.isUp ? '' : ' (down)'}`,
  formatBytes(seat.receivedBytes),
  formatBytes(seat.sentBytes),
  `${seat.droppedToService}/${seat.droppedFromService}`,
  rate(seat.ingressBps),
  rate(seat.egressBps),
];

const UNITS = [
  ['Gbit/s', 1e9],
  ['Mbit/s', 1e6],
  ['kbit/s', 1e3],
] as const;

function rate(bps: number | undefined): string {
  if (bps === undefined) return '-';
  const [unit, size] = UNITS.find(([, least]) => bps >= least) ?? ['bit/s', 1];
  return `${Number((bps / size).toFixed(1))} ${unit}`;
}

const STATES: Record<NetAnswer['rules']['state'], string> = {
  'as-set': 'the kernel holds what the agent set',
  changed: 'somebody changed them; the agent sets them again at its next look',
  missing: 'they are gone: segments are not parted; the agent sets them again at its next look',
  none: 'none',
};

const COUNTERS: Record<string, string> = {
  between_segments_dropped: 'kept from another segment, or from an outside that it has no way to',
  to_host_dropped: 'kept from the host',
  gateway_from_outside_dropped: 'kept from outside the gateways',
  ipv6_dropped: 'IPv6, which segments do not have',
  forged_dropped: 'came from an address that is not its own',
  over_rate_dropped: 'over the rate of all interfaces of a service together',
  to_outside: 'connections that services began to the outside',
  published: 'connections to published ports',
  dns: 'questions for names',
};

function rulesLines({ state, counters }: NetAnswer['rules'], columns: number): NetworkLine[] {
  const titles = [...left('RULE'), ...right('PACKETS', 'BYTES')];
  const [heading = '', ...rows] = layOutTable(
    titles,
    counters.map(({ name, packets, bytes }) => [name, String(packets), formatBytes(bytes)]),
  );
  const explained = rows.flatMap((row, index) => {
    const meaning = COUNTERS[counters[index]?.name ?? ''];
    if (meaning === undefined) return [row];
    const beside = `${row}  ${meaning}`;
    return [...beside].length <= columns ? [beside] : [row, ...hang('  ', meaning, columns)];
  });
  return [
    ...hang('Rules: ', STATES[state], columns).map((text) => ({ text })),
    ...(counters.length > 0 ? [{ text: heading, isHeading: true as const }] : []),
    ...explained.map((text) => ({ text })),
  ];
}
