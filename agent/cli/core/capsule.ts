import { formatBytes } from '../../../protocol/quantities.ts';
import type { Capsule } from '../../supervisor/postmortem/capsule.ts';
import { clockTime } from '../timestamp.ts';
import { describePressure } from './device-lines.ts';

/** The facts of a post-mortem but its reasons and log: a heading and its text each. */
export function describeCapsule(capsule: Capsule): [heading: string, text: string][] {
  const { service, kind, at, release, exit, oomKilled, bootId, specDigest } = capsule;
  const rows: [string, string | undefined][] = [
    service === undefined
      ? ['Release', release ?? 'none']
      : ['Service', `${service} of ${release ?? 'no release'}`],
    ['What', `${kind} at ${clockTime(at)}`],
    ['Exit', exit && (exit.signal === undefined ? `code ${exit.code}` : `signal ${exit.signal}`)],
    ['Killed', oomKilled && `${oomKilled.command}, pid ${oomKilled.pid}, for want of memory`],
    ['Memory', describeMemory(capsule)],
    ['Device', describeDevice(capsule.device)],
    ['Boot', bootId],
    ['Digest', specDigest],
  ];
  return rows.flatMap(([heading, text]) => (text === undefined ? [] : [[heading, text]]));
}

function describeMemory({ usage, budget, oomKills }: Capsule): string | undefined {
  if (usage === undefined) return undefined;
  const parts = [
    `${formatBytes(usage.memoryBytes)}${budget ? ` of ${formatBytes(budget.memoryMaxBytes)}` : ''}`,
  ];
  if (usage.memoryPeakBytes !== undefined) parts.push(`peak ${formatBytes(usage.memoryPeakBytes)}`);
  if (usage.memoryHighEvents) parts.push(`held back ${usage.memoryHighEvents} times`);
  if (oomKills) parts.push(`killed for want of memory: ${oomKills}`);
  return parts.join(', ');
}

function describeDevice(device: Capsule['device']): string | undefined {
  if (device === undefined) return undefined;
  const pressure = describePressure(device);
  const degrees = device.temperatureCelsius;
  return [
    `${formatBytes(device.memoryAvailableBytes)} of memory free`,
    ...(pressure ? [`pressure: ${pressure}`] : []),
    ...(degrees === undefined ? [] : [`${degrees.toFixed(1)} °C`]),
  ].join(', ');
}
