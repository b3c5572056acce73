import { isoTime } from '../protocol/instant.ts';
import type { LeaseDesk } from './local-api/ports.ts';
import type { Clock } from './supervisor/ports.ts';
import type { Lease } from './update/core/hold.ts';
import type { Leases } from './update/facts/leases.ts';
import type { ServiceLeases } from './update/facts/service-leases.ts';
import type { Outbox } from './update/ports.ts';

export interface LeaseDeskParts {
  /** Taken by hand. */
  hand: Leases;
  /** Held by services of the release in force. */
  services: Pick<ServiceLeases, 'held'>;
  outbox: Outbox;
  clock: Pick<Clock, 'now'>;
  /** A lease was taken or given back: an update may wait for it. */
  onChange(): void;
}

/** By hand, at once: whoever reaches the socket cannot fill the disk with them. */
const MOST = 32;

/** The `leases` of the local API, and all of them for the update. */
export function leaseDesk({ hand, services, outbox, clock, onChange }: LeaseDeskParts): LeaseDesk & {
  held(): Lease[];
} {
  const held = (): Lease[] => {
    const now = clock.now();
    return [...hand.held(now), ...services.held(now)].sort((a, b) => b.until - a.until);
  };
  const tell = (code: 'lease.taken' | 'lease.released', message: string): void =>
    outbox.add({ kind: 'device', code, message, at: clock.now() });
  return {
    held,
    list: () =>
      held().map(({ isService, ...lease }) => ({ ...lease, kind: isService ? 'service' : 'person' })),
    take: async ({ holder, why, forMs }) => {
      const now = clock.now();
      const others = hand.held(now).filter((lease) => lease.holder !== holder);
      if (others.length >= MOST)
        return { refused: `Cannot take the lease: ${MOST} are held already; give one back first` };
      const until = now + forMs;
      await hand.take({ holder, why, until }, now);
      tell('lease.taken', `${holder} took a lease until ${isoTime(until)}: ${why}`);
      onChange();
      return { holder, result: 'taken', until };
    },
    release: async (holder) => {
      const isReleased = await hand.release(holder, clock.now());
      if (isReleased) {
        tell('lease.released', `${holder} gave its lease back`);
        onChange();
      }
      return { holder, result: isReleased ? 'released' : 'absent' };
    },
  };
}
