import { randomBytes } from 'node:crypto';
import { openAssignment } from '../../protocol/assignment.ts';
import { fingerprintOf } from '../../protocol/fleet-key.ts';
import type { Manifest, Receiver } from '../../protocol/manifest.ts';
import type { UpdateStatus } from '../../protocol/messages.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import type { DesiredServices } from '../supervisor/service-spec.ts';
import { AgentSwitch } from './agent-switch.ts';
import { blobsInUse, releasesHeld } from './blobs-in-use.ts';
import { NOTHING_KNOWN, type SwitchFacts } from './core/hold.ts';
import { advance } from './core/machine.ts';
import { inForce, labelOf, type ReleaseRef, systemWanted, type UpdateRecord } from './core/record.ts';
import type { UpdateEffect, UpdateInput } from './core/transition.ts';
import { desiredServices, stageable } from './desired-services.ts';
import {
  type Applied,
  UPDATE_TIMES,
  type UpdateEngineOptions,
  type UpdateTimes,
  type UpdateWish,
} from './engine-options.ts';
import { FetchJob } from './fetch-job.ts';
import { HeldSteps } from './held-steps.ts';
import { ProgressNotice } from './progress-notice.ts';
import { readBundle } from './read-bundle.ts';
import { SystemSwitch } from './system-switch.ts';
import { deviceEvent, hasFailed, unwellIn } from './update-event.ts';
import { statusOf } from './update-status.ts';

/** Takes a device from one release to the next: feeds the update machine, makes its record durable, does as it says. */
export class UpdateEngine {
  readonly #options: UpdateEngineOptions;
  readonly #times: UpdateTimes;
  readonly #fetchJob: FetchJob;
  readonly #agents: AgentSwitch;
  readonly #systems: SystemSwitch;
  /** When a device that was never assigned anything became idle: as far as is known, now. */
  readonly #idleSince: number;
  readonly #enrolledKey: string | undefined;
  #record: UpdateRecord;
  readonly #progress: ProgressNotice;
  #cancelPoll: (() => void) | undefined;
  readonly #held: HeldSteps;
  #isStopped = false;
  #lookedAt = 0;

  constructor(options: UpdateEngineOptions) {
    this.#options = options;
    this.#times = { ...UPDATE_TIMES, ...options.times };
    this.#progress = new ProgressNotice(options.clock, () => options.onChange());
    this.#held = new HeldSteps(options.clock, this.#times.heldMs, (input) => this.#step(input));
    this.#record = options.ledger.load();
    this.#idleSince = options.clock.now();
    this.#enrolledKey = options.identity.fleetKey && fingerprintOf(options.identity.fleetKey);
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
    this.#systems = new SystemSwitch({
      slots: options.system?.slots,
      board: options.board.name,
      boot: options.system?.boot ?? { id: '', reason: undefined },
      token: () => randomBytes(8).toString('hex'),
      clock: options.clock,
      log: options.log,
      heldMs: this.#times.heldMs,
      record: () => this.#record,
      reboot: async (reason) => options.system?.reboot(reason),
      onLeave: () => {
        this.#isStopped = true;
      },
    });
    this.#fetchJob = new FetchJob({
      ...options,
      times: this.#times,
      now: () => this.trustedNow(),
      step: (input) => this.#step(input),
      onProgress: (manifest, progress) => this.#progress.note(manifest, progress),
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
    const { fleetKey } = this;
    // In no fleet there is nobody whose word would count.
    if (fleetKey === undefined || this.#enrolledKey === undefined) return;
    const opened = openAssignment(envelope, fleetKey);
    if (opened.ok && opened.fleetKey !== fleetKey)
      this.#step({ type: 'fleet-key', key: opened.fleetKey, enrolled: this.#enrolledKey });
    this.#step(
      opened.ok
        ? { type: 'assigned', assignment: opened.assignment }
        : { type: 'offer-refused', code: opened.code, message: opened.message },
    );
  }

  /** The key by which the server signs for this device, SPKI PEM: enrolment's, or one that followed it. */
  get fleetKey(): string | undefined {
    const { fleetKey } = this.#record;
    return fleetKey && fleetKey.enrolled === this.#enrolledKey
      ? fleetKey.key
      : this.#options.identity.fleetKey;
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
    const progress = this.#progress.of(this.#record.about?.manifest);
    return statusOf(this.#record, this.#idleSince, progress, this.#options.freshness?.());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelPoll?.();
    this.#progress.stop();
    this.#held.stop();
    await this.#fetchJob.stop();
    await this.#agents.stop();
    await this.#systems.stop();
  }

  /** Time that decides expiry, Unix ms. */
  trustedNow(): number {
    return this.#options.trustedNow(Math.max(this.#record.trustedTime, this.#options.builtAt));
  }

  #step(input: UpdateInput): void {
    if (this.#isStopped) return;
    const { identity, board, clock, ledger, log, onChange } = this.#options;
    const at = clock.now();
    const issuedAt = input.type === 'assigned' ? input.assignment.issuedAt : 0;
    const now = Math.max(this.trustedNow(), issuedAt);
    const [facts, agent, system] = [this.#facts(input), this.#agents.context(), this.#systems.context()];
    const context = { device: identity.device, board: board.name, at, now, facts, agent, system };
    const next = advance(this.#record, input, context);
    const news = next.events.map((event) => deviceEvent(event, at));
    if (next.isDurable && !ledger.record(next.record, news)) return this.#hold(input);
    const isNews = next.isDurable || next.record.reason !== this.#record.reason;
    const failed = hasFailed(input, this.#record, next.record) ? this.#failing() : undefined;
    this.#record = next.record;
    if (failed && next.record.reason) this.#options.onRollback(next.record.reason, failed, unwellIn(input));
    for (const event of next.events) log.info({ code: event.code, phase: event.phase }, event.message);
    this.#performAll(next.effects);
    if (isNews) onChange();
  }

  /** Asked for where they may decide something: they cost a look at the disk. */
  #facts(input: UpdateInput): SwitchFacts {
    const policy = input.type === 'assigned' ? input.assignment.policy : this.#record.incoming?.policy;
    const isAsked = ['assigned', 'look', 'switch', 'health'].includes(input.type);
    return isAsked ? this.#options.facts(policy ?? {}) : NOTHING_KNOWN;
  }

  /** A manifest that this agent cannot read must not keep it from rolling back. */
  #failing(): DesiredServices {
    try {
      return this.#desired();
    } catch {
      return { release: this.#record.incoming?.release, services: [] };
    }
  }

  /** What runs goes on running. */
  #hold(input: UpdateInput): void {
    if (input.type === 'started' && this.#isOnItsSystem()) this.#options.workloads.apply(this.#desired());
    this.#held.hold(input);
  }

  /** A release is never run on the system of another. */
  #isOnItsSystem(): boolean {
    const wanted = systemWanted(this.#record);
    return !wanted?.isTrial || wanted.token === this.#systems.context()?.trialBoot;
  }

  #performAll(effects: readonly UpdateEffect[]): void {
    for (const [index, effect] of effects.entries()) {
      const rest = (): void => this.#performAll(effects.slice(index + 1));
      if (effect === 'switch-system' && !this.#systems.turn(rest)) return;
      if (effect === 'switch-agent' && !this.#agents.turn(rest)) return;
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
      case 'switch-system':
      case 'switch-agent':
        return;
    }
  }

  /** The last look before the switch: services can be written down, the agent and the system are in place. */
  #stage(): void {
    const { toServices, identity } = this.#options;
    const { incoming } = this.#record;
    const read = stageable(incoming?.manifest, (manifest) => toServices(manifest, identity.platform));
    if (!read.ok) return this.#notStaged('refused.manifest-malformed', read.message);
    if (incoming?.agent === undefined && incoming?.system === undefined) this.#step({ type: 'staged' });
    else void this.#place(read.manifest, incoming.release);
  }

  async #place(manifest: Manifest, release: ReleaseRef): Promise<void> {
    const isOver = () => this.#record.incoming?.release.manifest !== release.manifest;
    const agent = await this.#agents.place(manifest, this.#options.identity.platform);
    if (isOver()) return;
    if (!agent.ok) return this.#notStaged(agent.code, agent.message);
    const system = await this.#systems.place(manifest);
    if (isOver()) return;
    if (system.ok) this.#step({ type: 'staged', slot: system.slot });
    else this.#notStaged(system.code, system.message);
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
          if (!this.#agents.isHeld && !this.#systems.isHeld)
            this.#step({ type: 'health', health: workloads.health(), elapsedMs });
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

  get #receiver(): Receiver {
    const { identity, board } = this.#options;
    return { platform: identity.platform, board: board.name };
  }

  async #collect(): Promise<void> {
    await this.#agents.collect();
    const keep = blobsInUse(this.#record, this.#receiver);
    const freedBytes = keep === undefined ? 0 : await this.#options.blobs.collect(keep);
    if (freedBytes > 0) this.#options.log.info({ freedBytes }, 'Blobs that no release needs were deleted');
  }
}
