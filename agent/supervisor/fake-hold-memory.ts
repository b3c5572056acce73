import type { HoldEvent, HoldMemory } from './service-holds.ts';

/** Stops by hand that outlive a `ServiceHolds`, and what the server is told of them. */
export class FakeHoldMemory implements HoldMemory {
  readonly kept = new Map<string, string>();
  readonly told: HoldEvent[] = [];

  load(): Record<string, string> {
    return Object.fromEntries(this.kept);
  }

  change(service: string, hold: string | undefined, event: HoldEvent | undefined): void {
    if (hold === undefined) this.kept.delete(service);
    else this.kept.set(service, hold);
    if (event) this.told.push(event);
  }
}
