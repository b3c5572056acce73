import type { KnownService, LastKnown } from '../../diagnostics/last-known.ts';
import { formatDuration } from './duration.ts';
import { type Column, layOutTable, printable } from './layout.ts';
import { plain } from './status.ts';

/** `wherry status` of a device whose agent does not answer. */
export function describeLastKnown(known: LastKnown, now: number): [heading: string, text: string][] {
  const { device, seenAt, unit, current, update, services, gaps } = known;
  const tenant = device.tenant ? ` of ${device.tenant}` : '';
  const seen =
    seenAt === undefined ? 'it left no sign of life' : `last seen ${formatDuration(now - seenAt)} ago`;
  const release = current && `${current.name} ${current.version} (generation ${current.generation})`;
  const running = services.filter(({ container }) => container.state === 'running');
  const others = services
    .filter(({ container }) => container.state !== 'running')
    .map((service) => `${service.name} ${containerText(service)}`);
  return [
    ['Device', `${device.id ?? 'not enrolled'}${tenant}, ${device.board}, ${device.platform}`],
    ['Agent', `does not answer, ${seen}${unit ? `; the service manager says ${unit}` : ''}`],
    ['Release', release ?? 'none yet'],
    ['Update', `${plain(update.phase)}${update.reason ? `: ${update.reason.message}` : ''}`],
    [
      'Services',
      services.length === 0
        ? 'none'
        : [`${running.length} of ${services.length} run on`, ...others].join('; '),
    ],
    ...gaps.map((gap): [string, string] => ['Gap', gap]),
  ];
}

const COLUMNS: Column[] = [
  { title: 'NAME', align: 'left' },
  { title: 'NOW', align: 'left' },
  { title: 'PID', align: 'right' },
  { title: 'LAST STATE', align: 'left' },
  { title: 'SINCE', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
];

/** `wherry ps` likewise: containers as they are now beside the state that the agent last wrote down. */
export function knownServicesTable(services: readonly KnownService[], now: number): string[] {
  return layOutTable(
    COLUMNS,
    services.map((service) => [
      service.name,
      containerText(service),
      String(service.container.pid ?? '-'),
      plain(service.state),
      formatDuration(now - service.since),
      String(service.restarts),
    ]),
  );
}

function containerText({ container: { state, exitCode, detail } }: KnownService): string {
  if (state === 'exited') return `exited with ${exitCode}`;
  if (state === 'broken') return `broken${detail ? ` (${printable(detail)})` : ''}`;
  return state === 'running' ? 'runs' : 'has no container';
}
