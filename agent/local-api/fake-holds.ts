import { holdText } from '../supervisor/core/service-hold.ts';
import type { HoldShown, RestartAnswer, StartAnswer, StopAnswer } from './answers.ts';
import { NOW } from './fake-status.ts';
import type { HandRequest, HoldDesk } from './hold-port.ts';

const HOUR_MS = 3_600_000;

/** Stops by hand in memory; tests read what was asked for back. */
export class FakeHolds implements HoldDesk {
  readonly held = new Map<string, HoldShown>();
  readonly restarts: { service: string; who: string; why?: string | undefined }[] = [];
  readonly starts: { service: string; who: string; why?: string | undefined }[] = [];
  /** Who depends on a service. */
  dependants: Record<string, string[]> = {};
  isUnsaved = false;
  readonly #isKnown: (service: string) => boolean;
  readonly #isRunning: (service: string) => boolean;

  constructor(isKnown: (service: string) => boolean, isRunning: (service: string) => boolean) {
    this.#isKnown = isKnown;
    this.#isRunning = isRunning;
  }

  stop(
    service: string,
    { who, why, forMs = HOUR_MS }: Parameters<HoldDesk['stop']>[1],
  ): StopAnswer | 'unknown-service' {
    if (!this.#isKnown(service)) return 'unknown-service';
    const until = NOW + forMs;
    this.held.set(service, { by: who, ...(why && { why }), since: NOW, until });
    const dependants = this.dependants[service] ?? [];
    return { service, result: 'held', until, dependants, ...(this.isUnsaved && { isUnsaved: true }) };
  }

  start(service: string, request: HandRequest): StartAnswer | 'unknown-service' {
    if (!this.#isKnown(service)) return 'unknown-service';
    this.starts.push({ service, ...request });
    const wasHeld = this.held.delete(service);
    return { service, result: !wasHeld && this.#isRunning(service) ? 'running' : 'accepted' };
  }

  restart(service: string, request: HandRequest): RestartAnswer | 'unknown-service' | { refused: string } {
    if (!this.#isKnown(service)) return 'unknown-service';
    const hold = this.held.get(service);
    if (hold)
      return { refused: `Cannot restart "${service}": ${holdText(hold)}; start it when that is done` };
    this.restarts.push({ service, ...request });
    return { service, result: 'accepted' };
  }

  of(service: string): HoldShown | undefined {
    return this.held.get(service);
  }
}
