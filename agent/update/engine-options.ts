import type { Board } from '../../protocol/board.ts';
import type { Manifest, Platform } from '../../protocol/manifest.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../protocol/update-policy.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { DesiredServices, ServiceSpec } from '../supervisor/service-spec.ts';
import type { SwitchFacts } from './core/hold.ts';
import type { BootReason } from './core/transition.ts';
import type {
  AgentShelf,
  BlobStore,
  ChunkSource,
  Log,
  ReleaseTrust,
  SystemSlots,
  UpdateLedger,
  Workloads,
} from './ports.ts';
import type { Freshness } from './trust-watch.ts';

export interface UpdateEngineOptions {
  /** `fleetKey`: SPKI PEM; without one nobody can assign anything. */
  identity: { device: string; platform: Platform; fleetKey?: string };
  board: Board;
  /** When this agent was built, Unix milliseconds: a floor for the clock. */
  builtAt: number;
  ledger: UpdateLedger;
  blobs: BlobStore;
  /** Where a release comes from; with a folder, from there as far as it goes. */
  sourceOf(from: string | undefined): ChunkSource;
  trust: ReleaseTrust;
  workloads: Workloads;
  clock: Clock;
  /** Time that decides expiry, Unix ms: never before `floor`. */
  trustedNow(floor: number): number;
  /** What is known of the newest signed metadata. */
  freshness?(): Freshness;
  /** What the device knows of itself, for one release's policy; its services may hold leases. */
  facts(policy: UpdatePolicy): SwitchFacts;
  toServices(manifest: Manifest, platform: Platform): ServiceSpec[];
  /** The status changed; at most four times a second for progress. */
  onChange(): void;
  /** A release is about to be taken down because these of its services did not stay well; its rollback is durable. */
  onRollback(why: Reason, failed: DesiredServices, unwell: readonly string[]): void;
  /** Absent: a release that brings an agent is refused. */
  agents?: AgentShelf | undefined;
  /** Another agent is to take this one's place: this process has to end, and its services to stay. */
  onAgentSwitch?(): void;
  /** Absent: the board has no slots, and a release that brings a system for it is refused. */
  system?: SystemParts | undefined;
  log: Log;
  times?: Partial<UpdateTimes>;
}

export interface SystemParts {
  slots: SystemSlots;
  /** Of this boot. */
  boot: { id: string; reason: BootReason | undefined };
  /** In order. Resolves when the board is about to reboot; throws why it is not. */
  reboot(reason: string): Promise<void>;
}

export interface UpdateTimes {
  healthPollMs: number;
  retryMinMs: number;
  retryMaxMs: number;
  /** Between attempts at a step that the disk did not take. */
  heldMs: number;
  /** Between looks at what a waiting release waits for. */
  lookMs: number;
}

export const UPDATE_TIMES: UpdateTimes = {
  healthPollMs: 500,
  retryMinMs: 1_000,
  retryMaxMs: 300_000,
  heldMs: 5_000,
  lookMs: 2_000,
};

/** `nothing-to-do`: no release is in a state in which the wish has a meaning. `held`: the disk does not take it yet. */
export type UpdateWish = 'accepted' | 'held' | 'nothing-to-do';

export type Applied =
  | { ok: true; result: 'accepted' | 'held'; release: string }
  | { ok: false; message: string };
