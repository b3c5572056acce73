import type { DeviceHealth } from '../protocol/status.ts';
import { mirrorsOf, openUpdates, type Steered, type UpdateParts } from './open-updates.ts';
import { SpareMemory } from './spare-memory.ts';
import { systemClock } from './system-clock.ts';
import { SourceChain } from './update/sources/source-chain.ts';
import { TrustedClock } from './update/trusted-clock.ts';

export interface OfflineParts extends UpdateParts {
  clockState(): NonNullable<DeviceHealth['clock']>['state'];
}

export interface Offline extends Steered {
  start(): void;
  stop(): Promise<void>;
}

/**
 * The updates of a device that is in no fleet yet: what somebody brings on a stick, verified from the root of trust in
 * the device's own configuration on. Nobody can assign anything to it.
 */
export function openOffline({ clockState, ...parts }: OfflineParts): Offline {
  const { name: device, board } = parts.config;
  const clock = new TrustedClock({
    device,
    system: systemClock.now,
    monotonic: () => performance.now(),
    isSynchronised: clockState,
    fleetKey: () => undefined,
  });
  const spare = new SpareMemory(systemClock, globalThis.gc);
  const { engine, ...steered } = openUpdates(parts, {
    identity: { device, platform: board.platform },
    sources: new SourceChain(mirrorsOf(parts.config), () => performance.now()),
    isOnline: () => false,
    onChange: () => spare.busy(),
    trustedNow: (floor) => clock.now(floor),
  });
  return {
    engine,
    ...steered,
    look: async () => ({ state: 'no-server' }),
    start: () => {
      engine.start();
      spare.busy();
    },
    stop: async () => {
      spare.stop();
      await engine.stop();
    },
  };
}
