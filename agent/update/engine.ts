import { openAssignment } from '../../protocol/assignment.ts';
import type { Board } from '../../protocol/board.ts';
import type { Manifest, Platform } from '../../protocol/manifest.ts';
import type { UpdateStatus } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { DesiredServices, ServiceSpec } from '../supervisor/service-spec.ts';
import { layersOf } from './core/fetch-plan.ts';
import { HeldInputs } from './core/held-inputs.ts';
import { advance, type UpdateEffect, type UpdateEvent, type UpdateInput } from './core/machine.ts';
import { inForce, labelOf, type ReleaseRef, type UpdateRecord } from './core/record.ts';
import { desiredServices, parseManifest } from './desired-services.ts';
import { FetchJob } from './fetch-job.ts';
import type { Progress } from './fetch-release.ts';
import type { BlobStore, ChunkSource, Log, ReleaseTrust, UpdateLedger, Workloads } from './ports.ts';

export interface UpdateEngineOptions {
  identity: { device: string; platform: Platform /** SPKI PEM */; fleetKey: string };
  board: Board;
  /** When this agent was built, Unix milliseconds: a floor for the clock. */
  builtAt: number;
  ledger: UpdateLedger;
  blobs: BlobStore;
  source: ChunkSource;
  trust: ReleaseTrust;
  workloads: Workloads;
  clock: Clock;
  toServices(manifest: Manifest, platform: Platform): ServiceSpec[];
  /** The status changed; at most four times a second for progress. */
  onChange(): void;
  /** A release is about to be taken down because these of its services did not stay well; its rollback is durable. */
  onRollback(why: Reason, failed: DesiredServices, unwell: readonly string[]): void;
  log: Log;
  times?: Partial<UpdateTimes>;
}

export interface UpdateTimes {
  healthPollMs: number;
  retryMinMs: number;
  retryMaxMs: number;
  /** Between attempts at a step that the disk did not take. */
  heldMs: number;
}

const TIMES: UpdateTimes = { healthPollMs: 500, retryMinMs: 1_000, retryMaxMs: 300_000, heldMs: 5_000 };
const PROGRESS_MS = 250;

/** Takes a device from one release to the next: feeds the update machine, makes its record durable, does as it says. */
export class UpdateEngine {
  readonly #options: UpdateEngineOptions;
  readonly #times: UpdateTimes;
  readonly #fetchJob: FetchJob;
  /** When a device that was never assigned anything became idle: as far as is known, now. */
  readonly #idleSince: number;
  #record: UpdateRecord;
  #progress: (Progress & { manifest: string }) | undefined;
  #cancelPoll: (() => void) | undefined;
  #cancelNotice: (() => void) | undefined;
  readonly #held = new HeldInputs();
  #cancelHeld: (() => void) | undefined;
  #isStopped = false;

  constructor(options: UpdateEngineOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#record = options.ledger.load();
    this.#idleSince = options.clock.now();
    this.#fetchJob = new FetchJob({
      ...options,
      times: this.#times,
      now: () => this.#now(),
      step: (input) => this.#step(input),
      onProgress: (manifest, progress) => this.#progressed({ manifest, ...progress }),
      collect: () => this.#collect(),
    });
  }

  /** Runs what was in force before, at once, and goes on with what was under way. */
  start(): void {
    this.#step({ type: 'started' });
    this.#poll();
  }

  /** dn/desired as it came. Never throws for what is in it. */
  offer(envelope: unknown): void {
    const opened = openAssignment(envelope, this.#options.identity.fleetKey);
    this.#step(
      opened.ok
        ? { type: 'assigned', assignment: opened.assignment }
        : { type: 'offer-refused', code: opened.code, message: opened.message },
    );
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
    return {
      phase,
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
  }

  #now(): number {
    return Math.max(this.#options.clock.now(), this.#record.trustedTime, this.#options.builtAt);
  }

  #step(input: UpdateInput): void {
    if (this.#isStopped) return;
    const { identity, board, clock, ledger, log, onChange } = this.#options;
    const at = clock.now();
    const issuedAt = input.type === 'assigned' ? input.assignment.issuedAt : 0;
    const now = Math.max(this.#now(), issuedAt);
    const next = advance(this.#record, input, { device: identity.device, board: board.name, at, now });
    const news = next.events.map((event) => deviceEvent(event, at));
    if (next.isDurable && !ledger.record(next.record, news)) return this.#hold(input);
    const isNews = next.isDurable || next.record.reason !== this.#record.reason;
    const failed = this.#isRollback(next.record) ? this.#failing() : undefined;
    this.#record = next.record;
    if (failed && next.record.reason) this.#options.onRollback(next.record.reason, failed, unwellIn(input));
    for (const event of next.events) log.info({ code: event.code, phase: event.phase }, event.message);
    for (const effect of next.effects) this.#perform(effect);
    if (isNews) onChange();
  }

  #isRollback({ phase }: UpdateRecord): boolean {
    return phase === 'rolling_back' && this.#record.phase !== phase;
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

  #perform(effect: UpdateEffect): void {
    const { incoming } = this.#record;
    switch (effect) {
      case 'stop-fetch':
        return this.#fetchJob.cancel();
      case 'fetch':
        return incoming && this.#fetchJob.begin(incoming.release);
      case 'stage':
        return this.#stage();
      case 'switch':
        return this.#step({ type: 'switch' });
      case 'apply':
        return this.#options.workloads.apply(this.#desired());
      case 'collect':
        this.#collect().catch((error: Error) => this.#options.log.warn({ error }, error.message));
    }
  }

  /** The last look before the switch: the services of the new release can be written down. */
  #stage(): void {
    const { toServices, identity } = this.#options;
    try {
      const manifest = parseManifest(this.#record.incoming?.manifest);
      if (!manifest) throw new Error('its recorded manifest cannot be read');
      toServices(manifest, identity.platform);
    } catch (error) {
      const message = `Cannot stage the release: ${error instanceof Error ? error.message : String(error)}`;
      return this.#step({ type: 'incoming-refused', code: 'refused.manifest-malformed', message });
    }
    this.#step({ type: 'staged' });
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
        if (phase === 'switching' || phase === 'soaking' || phase === 'rolling_back')
          this.#step({ type: 'health', health: workloads.health(), elapsedMs });
      } catch (error) {
        log.warn({ error }, `Cannot advance the update: ${String(error)}`);
      }
      if (!this.#isStopped) this.#poll();
    });
  }

  #progressed(progress: Progress & { manifest: string }): void {
    this.#progress = progress;
    if (this.#isStopped) return;
    this.#cancelNotice ??= this.#options.clock.after(PROGRESS_MS, () => {
      this.#cancelNotice = undefined;
      this.#options.onChange();
    });
  }

  /** Keeps the blobs of current, previous and incoming; while an incoming manifest is unknown, keeps everything. */
  async #collect(): Promise<void> {
    const { current, previous, incoming } = this.#record;
    if (incoming && incoming.manifest === undefined) return;
    const keep = new Set<string>();
    for (const held of [current, previous, incoming]) {
      const manifest = parseManifest(held?.manifest);
      if (!manifest) continue;
      for (const { verity } of layersOf(manifest, this.#options.identity.platform)) keep.add(verity);
    }
    const freedBytes = await this.#options.blobs.collect(keep);
    if (freedBytes > 0) this.#options.log.info({ freedBytes }, 'Blobs that no release needs were deleted');
  }
}

/** Without a look at the services none is to blame. */
const unwellIn = (input: UpdateInput): string[] =>
  input.type === 'health' ? input.health.unhealthy.map(({ service }) => service) : [];

function deviceEvent({ code, message, release, phase }: UpdateEvent, at: number) {
  return {
    at,
    kind: 'update' as const,
    code,
    message: message.slice(0, 1024),
    phase,
    ...(release && { generation: release.generation, release: labelOf(release) }),
  };
}
