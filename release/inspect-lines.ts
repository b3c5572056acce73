import type { ManifestService } from '../protocol/manifest.ts';
import { formatBytes } from '../protocol/quantities.ts';
import { columns } from './cli-io.ts';
import type { InspectedService, Inspection } from './inspect.ts';

/** What a service asks for beyond image and budget, one line each; nothing for one that asks for nothing. */
export function askedLines(service: InspectedService): string[] {
  const rows = [
    ...service.loosenings.map((line) => ['loosened', line]),
    ...settingRows(service),
    ...budgetRows(service.resources),
    ...placeRows(service),
  ];
  return rows.length === 0 ? [] : ['', service.name, ...columns(rows.map((row) => ['', ...row]))];
}

/** A table of the channels with what each takes of the device; nothing for a release without. */
export function channelLines({ channels = {} }: Pick<Inspection, 'channels'>): string[] {
  const rows = Object.entries(channels).map(([name, channel]) => [
    name,
    channel.publishers.join(', '),
    channel.subscribers.join(', '),
    `${channel.depth} x ${formatBytes(channel.slotSizeBytes)}`,
    channel.mode,
    formatBytes(channel.budgetBytes),
  ]);
  const titles = ['CHANNEL', 'FROM', 'TO', 'RING', 'MODE', 'MEMORY'];
  return rows.length === 0 ? [] : ['', ...columns([titles, ...rows])];
}

function settingRows(service: InspectedService): string[][] {
  const { kind, runtime, criticality, restart, dependsOn, health } = service;
  return [
    ...(kind ? [['kind', kind]] : []),
    ...(runtime ? [['runtime', runtime]] : []),
    ...(criticality ? [['criticality', criticality]] : []),
    ...(restart.whenExhausted ? [['when exhausted', restart.whenExhausted]] : []),
    ...Object.entries(dependsOn ?? {}).map(([name, condition]) => ['depends on', `${name}, ${condition}`]),
    ...(health ? [['health', healthText(health)]] : []),
  ];
}

function placeRows({ segments, ports, devices, secrets, update }: InspectedService): string[][] {
  return [
    ...Object.entries(segments ?? {}).map(([name, { aliases }]) => [
      'network',
      aliases.length > 0 ? `${name}, also as ${aliases.join(', ')}` : name,
    ]),
    ...(ports ?? []).map(({ host, container, protocol, address }) => [
      'port',
      `${address ?? '*'}:${host}/${protocol} to ${container}`,
    ]),
    ...(devices ?? []).map((device) => [
      'device',
      device.kind === 'cdi' ? device.name : `${device.path} as ${device.target}, ${device.access}`,
    ]),
    ...(secrets ?? []).map(({ name, path }) => ['secret', `${name} at ${path}`]),
    ...(update?.lease ? [['update', 'may hold updates off while it is busy']] : []),
    ...(update?.strategy ? [['update', 'its new version starts before the old one stops']] : []),
  ];
}

function healthText({ check, intervalMs, timeoutMs, retries, whenUnhealthy }: Health): string {
  const what =
    check.kind === 'exec'
      ? check.args.join(' ')
      : check.kind === 'http'
        ? `http port ${check.port} ${check.path}`
        : `tcp port ${check.port}`;
  const after = whenUnhealthy === 'restart' ? 'then restarts it' : 'then reports it';
  return `${what}; every ${intervalMs / 1000} s within ${timeoutMs / 1000} s, ${retries} failures ${after}`;
}
type Health = NonNullable<ManifestService['health']>;

function budgetRows(resources: InspectedService['resources']): string[][] {
  const { io, network, disk, logs } = resources;
  const bytes = {
    'memory.high': resources.memoryHighBytes,
    'memory.min': resources.memoryMinBytes,
    swap: resources.swapMaxBytes,
    'io read a second': io?.readBps,
    'io write a second': io?.writeBps,
    'writable layer': disk?.writableBytes,
    '/tmp': disk?.tmpBytes,
    '/dev/shm': disk?.shmBytes,
    'logs kept': logs?.sizeBytes,
    'logs a second': logs?.rateBytes,
  };
  const counts = {
    'cpu weight': resources.cpuWeight,
    cpuset: resources.cpuset,
    'io weight': io?.weight,
    'io reads a second': io?.readIops,
    'io writes a second': io?.writeIops,
    'open files': resources.openFiles,
    'bits in a second': network?.ingressBps,
    'bits out a second': network?.egressBps,
  };
  return [
    ...Object.entries(bytes).flatMap(([what, value]) =>
      value === undefined ? [] : [[what, formatBytes(value)]],
    ),
    ...Object.entries(counts).flatMap(([what, value]) =>
      value === undefined ? [] : [[what, String(value)]],
    ),
  ];
}
