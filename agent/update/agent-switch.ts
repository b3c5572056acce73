import type { Manifest, Platform } from '../../protocol/manifest.ts';
import { agentImageOf } from '../self-update/agent-image.ts';
import type { Clock } from '../supervisor/ports.ts';
import { agentsHeld, agentWanted, type UpdateRecord } from './core/record.ts';
import type { UpdateContext } from './core/transition.ts';
import type { AgentShelf, Log, PlacedAgent } from './ports.ts';

export interface AgentSwitchOptions {
  /** Undefined: whoever started this agent would start the same again. */
  shelf: AgentShelf | undefined;
  clock: Clock;
  log: Log;
  /** Between attempts that the disk did not take. */
  heldMs: number;
  record(): UpdateRecord;
  /** This process has to end; services stay. */
  onLeave(): void;
}

/** The agent's own part of an update: another one is put on the disk, takes this one's place, and stays or goes. */
export class AgentSwitch {
  readonly #options: AgentSwitchOptions;
  #placing: Promise<unknown> = Promise.resolve();
  #cancel: (() => void) | undefined;

  constructor(options: AgentSwitchOptions) {
    this.#options = options;
  }

  context(): UpdateContext['agent'] {
    const { shelf } = this.#options;
    return shelf && { running: shelf.running, failed: shelf.failed };
  }

  /** The one that is to run could not be written down yet: the services wait for it. */
  get isHeld(): boolean {
    return this.#cancel !== undefined;
  }

  /** One at a time; what a release brings lies on the disk when it is ready to switch. */
  place(manifest: Manifest, platform: Platform): Promise<PlacedAgent> {
    const image = agentImageOf(manifest, platform);
    const { shelf } = this.#options;
    if (image === undefined) return Promise.resolve({ ok: true });
    if (shelf === undefined)
      return Promise.resolve(
        refuse('this agent was not started by bin/wherry-agent and cannot give way to another'),
      );
    const placed = this.#placing.then(() => shelf.place(image));
    this.#placing = placed.catch(() => undefined);
    return placed.catch((error: Error) => refuse(error.message));
  }

  /** True when the agent that is to run is this one. Else nothing more is to be done, or `then` later. */
  turn(then: () => void): boolean {
    const { shelf, clock, log, heldMs, record, onLeave } = this.#options;
    this.#cancel?.();
    this.#cancel = undefined;
    const wanted = agentWanted(record());
    if (shelf === undefined || wanted === undefined) return true;
    try {
      if (!shelf.hold(wanted)) return true;
      log.info({ agent: wanted.id }, `Giving way to agent ${wanted.id}`);
      onLeave();
    } catch (error) {
      log.warn({ error }, `Cannot write down which agent is to run: ${String(error)}; trying again`);
      this.#cancel = clock.after(heldMs, () => this.turn(then) && then());
    }
    return false;
  }

  /** A look at the update was taken. */
  looked(): void {
    const { shelf, record, log } = this.#options;
    try {
      if (agentWanted(record())?.isTrial) shelf?.beat();
    } catch (error) {
      log.warn({ error }, `Cannot say that the trial goes on: ${String(error)}`);
    }
  }

  async collect(): Promise<void> {
    await this.#options.shelf?.collect(agentsHeld(this.#options.record()));
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#placing;
  }
}

const refuse = (message: string): PlacedAgent => ({ ok: false, code: 'refused.agent', message });
