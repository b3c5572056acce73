import type { DeviceEvent, Hello, Report } from '../../protocol/messages.ts';
import type { PostMortem } from '../../protocol/post-mortem.ts';
import type { Abilities } from '../../protocol/remote.ts';
import type { TimeRequest } from '../../protocol/signed-time.ts';

/** Where the link meets the rest of the agent. */

/** Events that wait for the server's acknowledgement. */
export interface EventQueue {
  /** The oldest events, in order. */
  pending(limit: number): DeviceEvent[];
  /** Forgets events that the server has stored; unknown ids are not an error. Durable at return. */
  acknowledge(ids: readonly string[]): void;
  /** Calls back after each addition; one listener. */
  onAdded(run: () => void): void;
}

/** Post-mortems that the server does not have yet. */
export interface PostMortemQueue {
  /** The oldest; undefined when the server has them all. */
  next(): PostMortem | undefined;
  /** The server has this one and those before it. Durable when resolved, if the disk takes it; never rejects. */
  acknowledge(id: string): Promise<void>;
  /** Calls back after each addition; one listener. */
  onAdded(run: () => void): void;
}

/** What the server asks for somebody who looks on. */
export interface RemoteRequests {
  /** Asked anew on each connect, where the server asks such things. */
  abilities(): Abilities;
  /** dn/ask: parsed JSON, not trusted. */
  asked(document: unknown): void;
  /** dn/more: parsed JSON, not trusted. */
  more(document: unknown): void;
  /** The session ended. */
  closed(): void;
}

/** The session with the fleet server. */
export interface Link {
  start(): void;
  /** Sends when connected; a report that cannot be sent is dropped, the next one heals it. */
  report(report: Report): void;
  isConnected(): boolean;
  stop(): Promise<void>;
}

export interface LinkHandlers {
  /** Asked anew on each connect. */
  hello(): Omit<Hello, 'v'>;
  /** dn/desired: parsed JSON, not trusted. */
  onDesired(envelope: unknown): void;
  /** dn/time: parsed JSON, not trusted. */
  onTime(answer: unknown): void;
  /** What to ask on each connect; undefined when the device knows the time. */
  timeRequest(): TimeRequest | undefined;
  onConnected(): void;
  /** The session ended or could not be opened; the link tries again by itself. `reason` says when. */
  onLost(reason: string): void;
}
