import type { Report, UpdateStatus } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../protocol/status.ts';
import type { TappedMessage } from '../supervisor/channels/tap.ts';
import type { Capsule, CapsuleSummary } from '../supervisor/postmortem/capsule.ts';
import type {
  ChannelsAnswer,
  LeaseAnswer,
  LeaseShown,
  PastUpdate,
  SecretAnswer,
  SecretShown,
  UpdateAnswer,
  UpdateWishAnswer,
} from './answers.ts';
import type { BundleDesk } from './bundle-port.ts';
import type { EnrolmentDesk } from './enrol-port.ts';
import type { EventLog } from './event-port.ts';
import type { ExecDesk } from './exec-port.ts';
import type { HoldDesk } from './hold-port.ts';
import type { Inspection } from './inspection.ts';
import type { NetView } from './net-port.ts';
import type { PlanDesk } from './plan-port.ts';

type LinkState = 'connected' | 'connecting' | 'offline' | 'not-enrolled';

/** Everything the agent knows of itself, as one document. Times are Unix milliseconds. */
export interface AgentStatus {
  agent: { version: string; startedAt: number; pid: number };
  /** `id`, `tenant` and `server` are absent before enrolment. */
  device: { id?: string; board: string; platform: string; tenant?: string; server?: string };
  /** `detail` says what the link waits for or why it failed last. */
  link: { state: LinkState; since: number; detail?: string };
  update: UpdateStatus;
  /** The release in force; absent before the first. */
  current?: NonNullable<Report['current']>;
  services: ServiceStatus[];
  health: DeviceHealth;
}

/** `at` is when the agent's log driver read the line, in Unix milliseconds. */
export interface LogLine {
  at: number;
  stream: 'stdout' | 'stderr';
  text: string;
}

export interface LogQuery {
  /** How many of the last lines to give first; 0 = none. */
  tail: number;
  follow: boolean;
  /** Lines from this time on only, Unix ms. */
  sinceMs?: number;
  /** Of the run before the last one; it is not followed. */
  previous?: boolean;
  /** Aborted when the reader goes; the iteration then ends, and does not throw. */
  signal: AbortSignal;
}

/** A message of a channel as it was read along; `data` is cut to what was asked for. */
export type ChannelMessage = TappedMessage;

/** Shared-memory channels of this device, for looking at. */
export interface ChannelDesk {
  list(): ChannelsAnswer;
  /** Messages from now on, until the reader goes or the channel does; undefined when there is no such channel. */
  tap(
    channel: string,
    query: { maxBytes: number; signal: AbortSignal },
  ): AsyncIterable<ChannelMessage> | undefined;
}

/** Secrets of this device. No method gives a content back. `who` is kept with the event of each change. */
export interface Secrets {
  list(): Promise<SecretShown[]>;
  /** Durable at return; services that wait for it start now. Resolves with why not, in one sentence. */
  put(name: string, content: Uint8Array, who: string): Promise<SecretAnswer | { refused: string }>;
  /** Services that run keep what they have until they stop. */
  remove(name: string, who: string): Promise<SecretAnswer | { refused: string }>;
}

/** Why a wish is not granted: `no-update`, there is nothing to wish for; `update-refused`, it may not be had now. */
export interface WishRefused {
  refused: string;
  code: 'no-update' | 'update-refused';
}
export type WishOutcome = UpdateWishAnswer | WishRefused;

/** Updates by hand. A wish is durable when it is `accepted`, and what follows from it has begun. */
export interface Updates {
  outlook(): UpdateAnswer;
  /** Newest first. */
  history(): PastUpdate[];
  /** Takes the release of an offline bundle; `folder` is an absolute path on the device. */
  apply(folder: string, by: string): Promise<WishOutcome>;
  consent(by: string): WishOutcome;
  defer(forMs: number, by: string): WishOutcome;
  rollBack(by: string): WishOutcome;
}

/** Who asks not to be disturbed by an update. */
export interface LeaseDesk {
  list(): LeaseShown[];
  /** Durable at return; taken again it is renewed. Resolves with why not, in one sentence. */
  take(lease: { holder: string; why: string; forMs: number }): Promise<LeaseAnswer | { refused: string }>;
  release(holder: string): Promise<LeaseAnswer>;
}

/** What the local API needs from the agent. Reads are answered from memory; none waits for the network. */
export interface AgentView {
  version(): string;
  status(): AgentStatus;
  /** Brings the use of services in `status` up to date; half a second old is young enough. */
  sample(): Promise<void>;
  /** Why the service is in its state, newest first; undefined when the agent knows no such service. */
  why(service: string): Reason[] | undefined;
  /** The service as it is meant and as the kernel holds it; undefined when the agent knows no such service. */
  inspect(service: string): Promise<Inspection | undefined>;
  /** Post-mortems, newest first. */
  capsules(): CapsuleSummary[];
  capsule(id: string): Capsule | undefined;
  channels: ChannelDesk;
  secrets: Secrets;
  updates: Updates;
  leases: LeaseDesk;
  /** Services by hand: stop, start, restart. */
  holds: HoldDesk;
  events: EventLog;
  net: NetView;
  bundle: BundleDesk;
  plans: PlanDesk;
  enrolment: EnrolmentDesk;
  exec: ExecDesk;
  /** Oldest first; undefined when the agent knows no such service. */
  logs(service: string, query: LogQuery): AsyncIterable<LogLine> | undefined;
}
