import type { DeviceHealth, ServiceStatus } from '../../../protocol/status.ts';
import type { ChannelsAnswer } from '../../local-api/answers.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import { ratesOf } from './channels.ts';

/** One look at the device. */
export interface TopLook {
  /** Unix ms. */
  at: number;
  status: AgentStatus;
  channels: ChannelsAnswer;
}

/** What a service does between two looks. Shares are of its own budget; 1 = all of it. */
export interface TopService {
  name: string;
  state: ServiceStatus['state'];
  cpu?: number;
  cpuMax: number;
  cpuShare?: number;
  memoryBytes?: number;
  memoryMaxBytes: number;
  memoryShare?: number;
  /** PSI "some", percent of the last ten seconds; absent where the kernel does not tell. */
  memoryPressure?: number;
  ioPressure?: number;
  cpuPressure?: number;
  /** Percent of the time between the looks in which the CPU budget held it back. */
  throttledPercent?: number;
  /** Held to less than its budget to relieve the device. */
  isThrottled?: true;
  restarts: number;
  oomKills: number;
  /** On shared-memory channels: messages published and received a second, and lost since they were made. */
  channels?: { messagesPerSecond: number; lost: number };
}

export interface TopFrame {
  at: number;
  /** Between the looks. */
  seconds: number;
  device: Pick<
    DeviceHealth,
    | 'uptimeMs'
    | 'load1'
    | 'memoryAvailableBytes'
    | 'memoryTotalBytes'
    | 'temperatureCelsius'
    | 'memoryPressure'
    | 'ioPressure'
    | 'cpuPressure'
    | 'throttling'
  >;
  services: TopService[];
}

export const TOP_ORDERS = ['cpu', 'memory', 'pressure', 'throttling', 'restarts', 'name'] as const;
export type TopOrder = (typeof TOP_ORDERS)[number];

/** The first look has none before it: rates are absent then. */
export function topFrame(before: TopLook | undefined, now: TopLook, order: TopOrder): TopFrame {
  const seconds = before ? Math.max(0, now.at - before.at) / 1000 : 0;
  const { health, services } = now.status;
  return {
    at: now.at,
    seconds,
    device: {
      uptimeMs: health.uptimeMs,
      load1: health.load1,
      memoryAvailableBytes: health.memoryAvailableBytes,
      memoryTotalBytes: health.memoryTotalBytes,
      ...(health.temperatureCelsius !== undefined && { temperatureCelsius: health.temperatureCelsius }),
      ...(health.memoryPressure && { memoryPressure: health.memoryPressure }),
      ...(health.ioPressure && { ioPressure: health.ioPressure }),
      ...(health.cpuPressure && { cpuPressure: health.cpuPressure }),
      ...(health.throttling && { throttling: health.throttling }),
    },
    services: sorted(
      services.map((service) => topService(service, before, now, seconds)),
      order,
    ),
  };
}

function topService(
  service: ServiceStatus,
  before: TopLook | undefined,
  now: TopLook,
  seconds: number,
): TopService {
  const { name, state, budget, usage, restarts, oomKills, isThrottled, pid } = service;
  const then = before?.status.services.find((other) => other.name === name && other.pid === pid)?.usage;
  const heldMs = usage && then ? usage.throttledMs - then.throttledMs : undefined;
  const channels = before && seconds > 0 ? channelsOf(name, before, now, seconds) : undefined;
  return {
    name,
    state,
    cpuMax: budget.cpuMax,
    memoryMaxBytes: budget.memoryMaxBytes,
    ...(usage && {
      cpu: usage.cpu,
      cpuShare: share(usage.cpu, budget.cpuMax),
      memoryBytes: usage.memoryBytes,
      memoryShare: share(usage.memoryBytes, budget.memoryMaxBytes),
    }),
    ...(usage?.memoryPressure && { memoryPressure: usage.memoryPressure.some }),
    ...(usage?.ioPressure && { ioPressure: usage.ioPressure.some }),
    ...(usage?.cpuPressure && { cpuPressure: usage.cpuPressure.some }),
    ...(heldMs !== undefined && seconds > 0 && { throttledPercent: percent(heldMs, seconds) }),
    ...(isThrottled && { isThrottled }),
    restarts,
    oomKills,
    ...(channels && { channels }),
  };
}

function channelsOf(service: string, before: TopLook, now: TopLook, seconds: number): TopService['channels'] {
  const rates = ratesOf(before.channels.channels, now.channels.channels, seconds);
  const its = rates.filter((rate) => rate.service === service);
  if (its.length === 0) return undefined;
  const peers = now.channels.channels.flatMap(({ publishers, subscribers }) => [
    ...publishers.filter((peer) => peer.service === service).map(({ dropped }) => dropped),
    ...subscribers.filter((peer) => peer.service === service).map(({ overruns }) => overruns),
  ]);
  return {
    messagesPerSecond: its.reduce((sum, { messagesPerSecond }) => sum + messagesPerSecond, 0),
    lost: peers.reduce((sum, lost) => sum + lost, 0),
  };
}

const share = (used: number, max: number): number => (max > 0 ? Math.round((used / max) * 1000) / 1000 : 0);

const percent = (heldMs: number, seconds: number): number =>
  Math.min(100, Math.max(0, Math.round(heldMs / seconds / 10)));

const KEYS: Record<Exclude<TopOrder, 'name'>, (service: TopService) => number> = {
  cpu: ({ cpuShare }) => cpuShare ?? -1,
  memory: ({ memoryShare }) => memoryShare ?? -1,
  pressure: (service) =>
    Math.max(service.memoryPressure ?? -1, service.ioPressure ?? -1, service.cpuPressure ?? -1),
  throttling: ({ throttledPercent, isThrottled }) => (isThrottled ? 1000 : 0) + (throttledPercent ?? -1),
  restarts: ({ restarts, oomKills }) => restarts + oomKills,
};

/** The most first, by name where they are equal. */
function sorted(services: TopService[], order: TopOrder): TopService[] {
  const byName = (a: TopService, b: TopService): number => (a.name < b.name ? -1 : 1);
  if (order === 'name') return services.toSorted(byName);
  const key = KEYS[order];
  return services.toSorted((a, b) => key(b) - key(a) || byName(a, b));
}
