import { formatBytes } from '../../../protocol/quantities.ts';
import type { Inspection } from '../../local-api/inspection.ts';
import { formatDuration } from './duration.ts';
import { plain } from './status.ts';

const NOUNS = { container: 'container', wasm: 'WebAssembly service' } as const;

/** The facts of `wherry inspect` but its budgets: a heading and its text each; a list's further items have no heading. */
export function describeInspection(inspection: Inspection, now: number): [heading: string, text: string][] {
  const { service, kind, release, runtime, criticality, state, since, network, logs } = inspection;
  const { dependsOn, devices, secrets, mounts, channels, degraded, loosenings } = inspection;
  return [
    ['Service', `${service}, a ${NOUNS[kind]} of ${release ?? 'no release'}, ${criticality} criticality`],
    ['State', `${plain(state)} for ${formatDuration(now - since)}`],
    ['Health', describeHealth(inspection.health)],
    ['Restart', inspection.restart],
    ['Stop', inspection.stop],
    ['Runtime', runtime ?? "the agent's default"],
    ['User', describeUser(inspection.user)],
    ...list('Loosenings', loosenings),
    ...list(
      'Degraded',
      degraded.map(({ what, why }) => `${what}: ${why}`),
    ),
    ['Network', describeNetwork(network.mode)],
    ...list('Segments', network.segments.map(describeSegment)),
    ...list('Ports', network.ports),
    ...list(
      'Depends on',
      dependsOn.map(({ service: other, until }) => `${other}, until it is ${until}`),
    ),
    ...list('Devices', devices),
    ...list('Secrets', secrets),
    ...list('Mounts', mounts),
    ...list('Channels', channels),
    ...(logs ? [['Logs', describeLogs(logs)] as [string, string]] : []),
    ['Digest', inspection.specDigest],
  ];
}

function list(heading: string, items: string[]): [string, string][] {
  return items.length === 0 ? [[heading, 'none']] : items.map((item, index) => [index ? '' : heading, item]);
}

function describeHealth(health: Inspection['health']): string {
  if (health === undefined) return 'no check';
  const state = health.state === undefined ? 'not checked now' : health.state;
  return `${state}${health.detail ? ` (${health.detail})` : ''}; ${health.check}`;
}

function describeUser({ uid, gid, hostIds }: Inspection['user']): string {
  const range =
    hostIds && `; on the host its ids are ${hostIds.first} to ${hostIds.first + hostIds.count - 1}`;
  return `${uid}:${gid}${range ?? "; the host's own ids"}`;
}

function describeNetwork(mode: Inspection['network']['mode']): string {
  if (mode === 'none') return 'none';
  return mode === 'host' ? "the host's own" : 'the segments below';
}

function describeSegment({
  name,
  address,
  aliases,
  isInternal,
}: Inspection['network']['segments'][number]): string {
  const also = aliases.length ? `, also ${aliases.join(', ')}` : '';
  return `${name} ${address ?? '(no address now)'}${also}${isInternal ? ', internal' : ''}`;
}

const describeLogs = ({ keptBytes, droppedBytes }: NonNullable<Inspection['logs']>): string =>
  `${formatBytes(keptBytes)} kept${droppedBytes ? `, ${formatBytes(droppedBytes)} dropped` : ', nothing dropped'}`;
