import type { DeviceHealth } from '../../../../protocol/status.ts';

export type Boot = NonNullable<DeviceHealth['boot']>;

/** What the agent keeps of a boot, on disk. */
export interface BootMarker {
  v: 1;
  boot: Boot;
  /** How the agent left this boot; absent while it runs, and when it was cut off. */
  ending?: { kind: 'requested' | 'clean'; message: string } | undefined;
  /** Crash records of the kernel that were there at this boot: they may stay for ever. */
  panics: string[];
}

export interface BootFacts {
  bootId: string;
  /** Unix ms. */
  bootedAt: number;
  /** Names of the kernel's crash records. */
  panics: string[];
  isWatchdogReset: boolean;
}

/**
 * The marker to keep from now on. Within one boot reason and time stand. How the agent left counts for more than
 * what the hardware says: some boards reboot by their watchdog.
 */
export function nextMarker(kept: BootMarker | undefined, facts: BootFacts): BootMarker {
  const { bootId, bootedAt, panics } = facts;
  if (kept?.boot.id === bootId) return { v: 1, boot: kept.boot, panics };
  return { v: 1, boot: { id: bootId, reason: bootReason(kept, facts), at: bootedAt }, panics };
}

function bootReason(kept: BootMarker | undefined, { panics, isWatchdogReset }: BootFacts): Boot['reason'] {
  if (kept === undefined) return 'first';
  if (kept.ending !== undefined) return kept.ending.kind;
  if (panics.some((name) => !kept.panics.includes(name))) return 'panic';
  return isWatchdogReset ? 'watchdog' : 'lost-power';
}
