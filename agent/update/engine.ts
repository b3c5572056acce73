import { openAssignment } from '../../protocol/assignment.ts';
import type { Board } from '../../protocol/board.ts';
import { fingerprintOf } from '../../protocol/fleet-key.ts';
import type { Manifest, Platform } from '../../protocol/manifest.ts';
import type { UpdateStatus } from '../../protocol/messages.ts';
import type { Reason, ReasonCode } from '../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../protocol/update-policy.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { DesiredServices, ServiceSpec } from '../supervisor/service-spec.ts';
import { AgentSwitch } from './agent-switch.ts';
import { blobsInUse, releasesHeld } from './blobs-in-use.ts';
import { HeldInputs } from './core/held-inputs.ts';
import { NOTHING_KNOWN, type SwitchFacts } from './core/hold.ts';
import { advance } from './core/machine.ts';
import { inForce, labelOf, type ReleaseRef, type UpdateRecord } from './core/record.ts';
import type { UpdateEffect, UpdateInput } from './core/transition.ts';
import { desiredServices, parseManifest } from './desired-services.ts';
import { FetchJob } from './fetch-job.ts';
import type { Progress } from './fetch-release.ts';
import type {
  AgentShelf,
  BlobStore,
  ChunkSource,
  Log,
  ReleaseTrust,
  UpdateLedger,
  Workloads,
} from './ports.ts';
import { readBundle } from './read-bundle.ts';
import type { Freshness } from './trust-watch.ts';
import { deviceEvent, unwellIn } from './update-event.ts';

export interface UpdateEngineOptions {
  identity: { device: string; platform: Platform /** SPKI PEM */; fleetKey: string };
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
  log: Log;
  times?: Partial<UpdateTimes>;
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

const TIMES: UpdateTimes = {
  healthPollMs: 500,
  retryMinMs: 1_000,
  retryMaxMs: 300_000,
  heldMs: 5_000,
  lookMs: 2_000,
};
const PROGRESS_MS = 250;

/** `nothing-to-do`: no release is in a state in which the wish has a meaning. `held`: the disk does not take it yet. */
export type UpdateWish = 'accepted' | 'held' | 'nothing-to-do';

export type Applied =
  | { ok: true; result: 'accepted' | 'held'; release: string }
  | { ok: false; message: string };

/** Takes a device from one release to the next: feeds the update machine, makes its record durable, does as it says. */
export class UpdateEngine {
  readonly #options: UpdateEngineOptions;
  readonly #times: UpdateTimes;
  readonly #fetchJob: FetchJob;
  readonly #agents: AgentSwitch;
  /** When a device that was never assigned anything became idle: as far as is known, now. */
  readonly #idleSince: number;
  readonly #enrolledKey: string;
  #record: UpdateRecord;
  #progress: (Progress & { manifest: string }) | undefined;
  #cancelPoll: (() => void) | undefined;
  #cancelNotice: (() => void) | undefined;
  readonly #held = new HeldInputs();
  #cancelHeld: (() => void) | undefined;
  #isStopped = false;
  #lookedAt = 0;

  constructor(options: UpdateEngineOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#record = options.ledger.load();
    this.#idleSince = options.clock.now();
    this.#enrolledKey = fingerprintOf(options.identity.fleetKey);
    this.#agents = new AgentSwitch({
      shelf: options.agents,
      clock: options.clock,
      log: options.log,
      heldMs: this.#times.heldMs,
      record: () => this.#record,
      onLeave: () => {
        this.#isStopped = true;
        options.onAgentSwitch?.();
      },
    });
    this.#fetchJob = new FetchJob({
      ...options,
      times: this.#times,
      now: () => this.#now(),
      step: (input) => this.#step(input),
      onProgress: (manifest, progress) => this.#progressed({ manifest, ...progress }),
      collect: () => this.#collect(),
      held: () => releasesHeld(this.#record),
    });
  }

  /** Runs what was in force before, at once, and goes on with what was under way. */
  start(): void {
    this.#step({ type: 'started' });
    this.#poll();
  }

  /** dn/desired as it came. Never throws for what is in it. */
  offer(envelope: unknown): void {
    const opened = openAssignment(envelope, this.fleetKey);
    if (opened.ok && opened.fleetKey !== this.fleetKey)
      this.#step({ type: 'fleet-key', key: opened.fleetKey, enrolled: this.#enrolledKey });
    this.#step(
      opened.ok
        ? { type: 'assigned', assignment: opened.assignment }
        : { type: 'offer-refused', code: opened.code, message: opened.message },
    );
  }

  /** The key by which the server signs for this device, SPKI PEM: enrolment's, or one that followed it. */
  get fleetKey(): string {
    const { fleetKey } = this.#record;
    const isOfThisEnrolment = fleetKey?.enrolled === this.#enrolledKey;
    return isOfThisEnrolment ? fleetKey.key : this.#options.identity.fleetKey;
  }

  /** The server told the time, Unix ms, and its signature held. */
  timeTold(at: number): void {
    this.#step({ type: 'time', at });
  }

  /** Somebody at the device agrees to the release on its way. Recorded at return, when there is one. */
  consent(by: string): UpdateWish {
    return this.#wish({ type: 'consent', by });
  }

  /** Takes the release that an offline bundle holds. Its keys must have signed it like any other. */
  async apply(folder: string, by: string): Promise<Applied> {
    const read = await readBundle(folder);
    if (!read.ok) return read;
    const { release } = read.bundle;
    const result = this.#wish({ type: 'applied', release, from: folder, by });
    const { phase, reason } = this.#record;
    if (phase === 'refused' && reason) return { ok: false, message: reason.message };
    return { ok: true, result: result === 'held' ? result : 'accepted', release: labelOf(release) };
  }

  /** Puts the release on its way off, until then, Unix ms. */
  defer(until: number, by: string): UpdateWish {
    return this.#wish({ type: 'defer', until, by });
  }

  /** Back to the release before the one in force, without a network. */
  rollBack(by: string): UpdateWish {
    return this.#wish({ type: 'roll-back', by });
  }

  #wish(input: UpdateInput): UpdateWish {
    const before = this.#record;
    this.#step(input);
    if (this.#record === before) return this.#held.has(input.type) ? 'held' : 'nothing-to-do';
    this.wake();
    return 'accepted';
  }

  /** Something that a release may wait for has changed. */
  wake(): void {
    this.#lookedAt = 0;
    this.#lookAround();
  }

  /** The release whose services run. */
  get current(): ReleaseRef | undefined {
    return inForce(this.#record)?.release;
  }

  /** Highest generation decided on; 0 before the first. */
  get generation(): number {
    return this.#record.accepted?.generation ?? 0;
  }

  status(): UpdateStatus {
    const { phase, since, about, reason } = this.#record;
    const progress = this.#progress;
    const metadata = this.#options.freshness?.() ?? {};
    return {
      phase,
      ...(Object.keys(metadata).length > 0 && { metadata }),
      since: phase === 'idle' ? this.#idleSince : since,
      ...(about && { release: about }),
      ...(reason && { reason }),
      ...(progress &&
        progress.manifest === about?.manifest && {
          progress: {
            doneBytes: progress.doneBytes,
            totalBytes: progress.totalBytes,
            reusedBytes: progress.reusedBytes,
          },
        }),
    };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelPoll?.();
    this.#cancelNotice?.();
    this.#cancelHeld?.();
    await this.#fetchJob.stop();
    await this.#agents.stop();
  }

  /** Time that decides expiry, Unix ms. */
  trustedNow(): number {
    return this.#now();
  }

  #now(): number {
    return this.#options.trustedNow(Math.max(this.#record.trustedTime, this.#options.builtAt));
  }

  #step(input: UpdateInput): void {
    if (this.#isStopped) return;
    const { identity, board, clock, ledger, log, onChange } = this.#options;
    const at = clock.now();
    const issuedAt = input.type === 'assigned' ? input.assignment.issuedAt : 0;
    const now = Math.max(this.#now(), issuedAt);
    const context = { device: identity.device, board: board.name, at, now, ...this.#circumstances(input) };
    const next = advance(this.#record, input, context);
    const news = next.events.map((event) => deviceEvent(event, at));
    if (next.isDurable && !ledger.record(next.record, news)) return this.#hold(input);
    const isNews = next.isDurable || next.record.reason !== this.#record.reason;
    const failed = this.#hasFailed(input, next.record) ? this.#failing() : undefined;
    this.#record = next.record;
    if (failed && next.record.reason) this.#options.onRollback(next.record.reason, failed, unwellIn(input));
    for (const event of next.events) log.info({ code: event.code, phase: event.phase }, event.message);
    this.#performAll(next.effects);
    if (isNews) onChange();
  }

  #circumstances(input: UpdateInput) {
    return { facts: this.#facts(input), agent: this.#agents.context() };
  }

  /** Asked for where they may decide something: they cost a look at the disk. */
  #facts(input: UpdateInput): SwitchFacts {
    const policy = input.type === 'assigned' ? input.assignment.policy : this.#record.incoming?.policy;
    const isAsked = ['assigned', 'look', 'switch', 'health'].includes(input.type);
    return isAsked ? this.#options.facts(policy ?? {}) : NOTHING_KNOWN;
  }

  /** A rollback that somebody asked for is no failure to look into. */
  #hasFailed({ type }: UpdateInput, { phase }: UpdateRecord): boolean {
    return type !== 'roll-back' && phase === 'rolling_back' && this.#record.phase !== phase;
  }

  /** A manifest that this agent cannot read must not keep it from rolling back. */
  #failing(): DesiredServices {
    try {
      return this.#desired();
    } catch {
      return { release: this.#record.incoming?.release, services: [] };
    }
  }

  /** The disk does not take the step: nothing of it happens, and it is tried again. What runs goes on running. */
  #hold(input: UpdateInput): void {
    const { clock, workloads } = this.#options;
    if (input.type === 'started') workloads.apply(this.#desired());
    // The next look at the services tells the same again.
    if (input.type !== 'health') this.#held.add(input);
    this.#cancelHeld ??= clock.after(this.#times.heldMs, () => {
      this.#cancelHeld = undefined;
      for (const held of this.#held.take()) this.#step(held);
    });
  }

  #performAll(effects: readonly UpdateEffect[]): void {
    for (const [index, effect] of effects.entries()) {
      const isHere =
        effect !== 'switch-agent' || this.#agents.turn(() => this.#performAll(effects.slice(index + 1)));
      if (!isHere) return;
      this.#perform(effect);
    }
  }

  #perform(effect: UpdateEffect): void {
    const { incoming } = this.#record;
    switch (effect) {
      case 'stop-fetch':
        return this.#fetchJob.cancel();
      case 'fetch':
        return incoming && this.#fetchJob.begin(incoming.release, incoming.from);
      case 'stage':
        return this.#stage();
      case 'switch':
        return this.#step({ type: 'switch' });
      case 'apply':
        return this.#options.workloads.apply(this.#desired());
      case 'collect':
        return this.#fetchJob.alone(() => this.#collect());
      case 'switch-agent':
        return;
    }
  }

  /** The last look before the switch: the services of the new release can be written down, its agent is in place. */
  #stage(): void {
    const { toServices, identity } = this.#options;
    const { incoming } = this.#record;
    let manifest: Manifest | undefined;
    try {
      manifest = parseManifest(incoming?.manifest);
      if (!manifest) throw new Error('its recorded manifest cannot be read');
      toServices(manifest, identity.platform);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return this.#notStaged('refused.manifest-malformed', message);
    }
    if (incoming?.agent === undefined) this.#step({ type: 'staged' });
    else void this.#placeAgent(manifest, incoming.release);
  }

  async #placeAgent(manifest: Manifest, release: ReleaseRef): Promise<void> {
    const placed = await this.#agents.place(manifest, this.#options.identity.platform);
    if (this.#record.incoming?.release.manifest !== release.manifest) return;
    if (placed.ok) this.#step({ type: 'staged' });
    else this.#notStaged(placed.code, placed.message);
  }

  #notStaged(code: ReasonCode, why: string): void {
    this.#step({ type: 'incoming-refused', code, message: `Cannot stage the release: ${why}` });
  }

  #desired(): DesiredServices {
    const { toServices, identity } = this.#options;
    return desiredServices(this.#record, (manifest) => toServices(manifest, identity.platform));
  }

  #poll(): void {
    const { workloads, clock, log } = this.#options;
    const elapsedMs = this.#times.healthPollMs;
    this.#cancelPoll = clock.after(elapsedMs, () => {
      try {
        const { phase } = this.#record;
        this.#agents.looked();
        if (phase === 'switching' || phase === 'soaking' || phase === 'rolling_back') {
          if (!this.#agents.isHeld) this.#step({ type: 'health', health: workloads.health(), elapsedMs });
        } else this.#lookAround();
      } catch (error) {
        log.warn({ error }, `Cannot advance the update: ${String(error)}`);
      }
      if (!this.#isStopped) this.#poll();
    });
  }

  #lookAround(): void {
    const { phase } = this.#record;
    if (phase !== 'waiting' && phase !== 'fetching') return;
    const now = this.#options.clock.now();
    // A clock that was set back must not keep it from looking.
    if (now >= this.#lookedAt && now - this.#lookedAt < this.#times.lookMs) return;
    this.#lookedAt = now;
    this.#step({ type: 'look' });
  }

  #progressed(progress: Progress & { manifest: string }): void {
    this.#progress = progress;
    if (this.#isStopped) return;
    this.#cancelNotice ??= this.#options.clock.after(PROGRESS_MS, () => {
      this.#cancelNotice = undefined;
      this.#options.onChange();
    });
  }

  async #collect(): Promise<void> {
    await this.#agents.collect();
    const keep = blobsInUse(this.#record, this.#options.identity.platform);
    const freedBytes = keep === undefined ? 0 : await this.#options.blobs.collect(keep);
    if (freedBytes > 0) this.#options.log.info({ freedBytes }, 'Blobs that no release needs were deleted');
  }
}
