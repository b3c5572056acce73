import type { UpdateStatus } from '../../../protocol/messages.ts';
import { formatBytes } from '../../../protocol/quantities.ts';
import type { ServiceStatus } from '../../../protocol/status.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import { describeExtras } from './device-lines.ts';
import { formatDuration } from './duration.ts';

/** The ten lines of `wherry status`, and more where there is more to tell: a heading and its text each. */
export function describeStatus(status: AgentStatus, now: number): [heading: string, text: string][] {
  const { agent, current, update, health } = status;
  const temperature = health.temperatureCelsius;
  return [
    ['Device', describeDevice(status)],
    ['Agent', `${agent.version}, up ${formatDuration(now - agent.startedAt)}, pid ${agent.pid}`],
    ['Link', describeLink(status, now)],
    ['Release', current ? label(current) : 'none yet'],
    ['Update', describeUpdate(update, now)],
    ['Services', describeServices(status.services)],
    ['Waiting', describeWaiting(status)],
    [
      'Memory',
      `${free(health.memoryAvailableBytes, health.memoryTotalBytes)}, agent ${formatBytes(health.agentRssBytes)}`,
    ],
    ['Disk', free(health.diskFreeBytes, health.diskTotalBytes)],
    [
      'System',
      `up ${formatDuration(health.uptimeMs)}, load ${health.load1.toFixed(2)}` +
        (temperature === undefined ? '' : `, ${temperature.toFixed(1)} °C`),
    ],
    ...describeExtras(health),
  ];
}

/** State names as people read them: "backing_off" → "backing off". */
export const plain = (state: string): string => state.replaceAll('_', ' ');

/** What else is to be said of a service beside its state. */
export function marksOf({ health, isThrottled, degraded }: ServiceStatus): string[] {
  return [
    ...(health ? [health.state === 'starting' ? 'not yet healthy' : health.state] : []),
    ...(isThrottled ? ['throttled'] : []),
    ...(degraded?.length ? ['degraded'] : []),
  ];
}

const isUp = (state: ServiceStatus['state']): boolean => state === 'running' || state === 'completed';

const free = (bytes: number, total: number): string => `${formatBytes(bytes)} free of ${formatBytes(total)}`;

function describeDevice({ device }: AgentStatus): string {
  const tenant = device.tenant ? ` of ${device.tenant}` : '';
  return `${device.id ?? 'not enrolled'}${tenant}, ${device.board}, ${device.platform}`;
}

function describeLink({ link, device }: AgentStatus, now: number): string {
  const server = device.server ?? 'the server';
  const duration = formatDuration(now - link.since);
  const detail = link.detail ? `: ${link.detail}` : '';
  switch (link.state) {
    case 'connected':
      return `connected to ${server} for ${duration}`;
    case 'connecting':
      return `connecting to ${server} for ${duration}${detail}`;
    case 'offline':
      return `offline for ${duration}${detail}`;
    case 'not-enrolled':
      return `none: the device is not enrolled${detail}`;
  }
}

function label({ name, version, generation }: { name: string; version: string; generation: number }): string {
  return `${name} ${version} (generation ${generation})`;
}

function describeUpdate({ phase, since, release, progress, reason }: UpdateStatus, now: number): string {
  const what = release ? `${plain(phase)} ${label(release)}` : plain(phase);
  const percent = progress && Math.floor((100 * progress.doneBytes) / Math.max(1, progress.totalBytes));
  const fetched =
    phase === 'fetching' && progress
      ? `, ${percent} % of ${formatBytes(progress.totalBytes)}, ${formatBytes(progress.reusedBytes)} reused`
      : '';
  return `${what} for ${formatDuration(now - since)}${fetched}${reason ? `: ${reason.message}` : ''}`;
}

function describeServices(services: ServiceStatus[]): string {
  if (services.length === 0) return 'none';
  const others = services
    .filter((service) => !isUp(service.state))
    .map(({ name, state }) => `${name} ${plain(state)}`);
  const marked = services.flatMap((service) => {
    const marks = marksOf(service).filter((mark) => mark !== 'healthy');
    return isUp(service.state) && marks.length ? [`${service.name} ${marks.join(', ')}`] : [];
  });
  const up = `${services.length - others.length} of ${services.length} up`;
  return [up, ...others, ...marked].join('; ');
}

/** Everything that holds the device back from where it should be, in the order of what to look at first. */
function describeWaiting({ link, update, services }: AgentStatus): string {
  const waits: string[] = [];
  if (link.state === 'not-enrolled') waits.push('an enrolment token');
  else if (link.state !== 'connected') waits.push('the link to the server');
  if (update.phase === 'fetching') waits.push('the rest of the release');
  if (update.phase === 'waiting') waits.push('the time of the new release (wherry update status)');
  if (update.phase === 'soaking') waits.push('the new release to stay up for its soak time');
  for (const { name, state, reason } of services) {
    if (!isUp(state)) waits.push(`${name} (${reason.message})`);
  }
  return waits.length ? waits.join('; ') : 'nothing';
}
