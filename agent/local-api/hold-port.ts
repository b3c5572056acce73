import type { HoldShown, RestartAnswer, StartAnswer, StopAnswer } from './answers.ts';

/** `who` and `why` are kept with the reason, and told to the server. */
export interface HandRequest {
  who: string;
  why?: string | undefined;
}

/** Services stopped, started and restarted by hand. Each wish is recorded when it is answered and carried out then. */
export interface HoldDesk {
  /** Holds the service until it is started by hand or the time is over; asked again, that begins anew. Default: an hour. */
  stop(
    service: string,
    request: HandRequest & { forMs?: number | undefined },
  ): StopAnswer | 'unknown-service';
  /** Ends a stop by hand, and overrules back-off and having given up. One that runs is left as it is. */
  start(service: string, request: HandRequest): StartAnswer | 'unknown-service';
  /** Refused, in one sentence, while the service is stopped by hand: whoever did that may stand before it. */
  restart(service: string, request: HandRequest): RestartAnswer | 'unknown-service' | { refused: string };
  /** Undefined when nobody stopped the service. */
  of(service: string): HoldShown | undefined;
}
