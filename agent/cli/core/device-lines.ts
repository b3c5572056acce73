import { formatBytes } from '../../../protocol/quantities.ts';
import type { DeviceHealth } from '../../../protocol/status.ts';

/** Lines of `wherry status` that a device has only when it can tell, or when something is not well. */
export function describeExtras(health: DeviceHealth): [heading: string, text: string][] {
  const { shedding, faults = [] } = health;
  const rows: [string, string | undefined][] = [
    ['Pressure', describePressure(health)],
    ['Power', describeThrottling(health.throttling)],
    ['Storage', describeStorage(health.storage)],
    ['Boot', describeBoot(health)],
    ['Shedding', shedding && `level ${shedding.level}: ${shedding.reason.message}`],
    ['Faults', faults.length ? faults.map(({ message }) => message).join('; ') : undefined],
  ];
  return rows.flatMap(([heading, text]) => (text === undefined ? [] : [[heading, text]]));
}

/** "memory 12 %, io 0 %": the part of the last ten seconds in which something waited. */
export function describePressure({
  memoryPressure,
  ioPressure,
  cpuPressure,
}: Pick<DeviceHealth, 'memoryPressure' | 'ioPressure' | 'cpuPressure'>): string | undefined {
  const parts = [
    ['memory', memoryPressure],
    ['io', ioPressure],
    ['cpu', cpuPressure],
  ] as const;
  const known = parts.flatMap(([what, pressure]) =>
    pressure ? [`${what} ${Math.round(pressure.some)} %`] : [],
  );
  return known.length ? known.join(', ') : undefined;
}

function describeThrottling(throttling: DeviceHealth['throttling']): string | undefined {
  if (throttling === undefined) return undefined;
  const { now, sinceBoot } = throttling;
  const before = sinceBoot.filter((flag) => !now.includes(flag));
  if (now.length + before.length === 0) return 'well';
  const parts = [
    ...(now.length ? [`${now.join(', ')} now`] : []),
    ...(before.length ? [`${before.join(', ')} since boot`] : []),
  ];
  return parts.join('; ');
}

function describeStorage(storage: DeviceHealth['storage']): string | undefined {
  if (storage === undefined) return undefined;
  const { writtenBytes, writtenBytesPerDay: perDay, lifeUsedPercent, daysLeft } = storage;
  return [
    `${formatBytes(writtenBytes)} written`,
    ...(perDay === undefined ? [] : [`${formatBytes(perDay)} a day`]),
    ...(lifeUsedPercent === undefined ? [] : [`${lifeUsedPercent} % of its life used`]),
    ...(daysLeft === undefined ? [] : [`${daysLeft} days left`]),
  ].join(', ');
}

const BOOTS: Record<NonNullable<DeviceHealth['boot']>['reason'], string> = {
  first: 'the first with this agent',
  requested: 'the agent asked for it',
  clean: 'after an orderly shutdown',
  'lost-power': 'after losing power or a reset',
  panic: 'after a panic of the kernel',
  watchdog: 'after a reset by the watchdog',
};

function describeBoot({ boot, clock }: DeviceHealth): string | undefined {
  if (boot === undefined) return undefined;
  const isUnsure = clock?.state === 'unsynchronised';
  return `${BOOTS[boot.reason]}${isUnsure ? '; the clock is not synchronised, so times may be wrong' : ''}`;
}
