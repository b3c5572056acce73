import type { ChannelStatus } from '../../../protocol/channel-status.ts';
import type { Reason, ReasonCode } from '../../../protocol/reasons.ts';
import type { ServiceChannel } from '../service-spec.ts';
import { ChannelFiles } from './channel-files.ts';
import {
  type ChannelLook,
  channelStatus,
  lossesBetween,
  type Rate,
  ratesBetween,
} from './core/channel-status.ts';
import type { Deviation } from './core/deviations.ts';
import { type EvictionMemory, judgeEvictions, NO_EVICTIONS } from './core/evictions.ts';
import { withRunning } from './core/peers.ts';

/** `service`: who did it, or to whom it happened; undefined = nobody is known. */
export type Tell = (service: string | undefined, reason: Reason) => void;

/** Losses of the same subscriber are told again after this. */
const TELL_AGAIN_MS = 300_000;

/** A channel that is there, and what is remembered of it between two looks. */
export class KnownChannel {
  readonly channel: ServiceChannel;
  readonly path: string;
  /** Host users, as of the last making; undefined for one that an agent before made and nobody asked for since. */
  owners: ReadonlyMap<string, number> | undefined;
  readonly #files: ChannelFiles;
  #evictions: EvictionMemory = NO_EVICTIONS;
  #sampled: ChannelLook | undefined;
  #rates: Rate[] = [];
  #fault: string | undefined;
  /** By code and service, Unix ms. */
  readonly #told = new Map<string, number>();

  constructor(channel: ServiceChannel, path: string) {
    this.channel = channel;
    this.path = path;
    this.#files = new ChannelFiles(channel, path);
  }

  /** `running`: by service, when its container was started. */
  note(running: ReadonlyMap<string, number>): void {
    this.#files.changePeers((peers) => withRunning(peers, this.channel, running));
  }

  status(usedBytes: number | undefined): ChannelStatus {
    const shown = { since: this.#files.createdAt(), usedBytes, fault: this.#fault, rates: this.#rates };
    return channelStatus(this.channel, this.#files.look(performance.now()), shown);
  }

  /** Rates and losses since the sample before. `at`: monotonic, ms; `now`: Unix ms. */
  sample(at: number, tell: Tell, now: number): void {
    const look = this.#files.look(at);
    this.#rates = ratesBetween(this.#sampled, look);
    for (const { service, overruns, resets } of lossesBetween(this.channel, this.#sampled, look)) {
      if (overruns > 0)
        this.#tellSeldom(
          tell,
          service,
          'channel.overruns',
          `was overtaken ${times(overruns)} and lost messages`,
          now,
        );
      if (resets > 0)
        this.#tellSeldom(tell, service, 'channel.reset', `saw a publisher begin anew ${times(resets)}`, now);
    }
    this.#sampled = look;
  }

  /** Evicts and restores. `at`: monotonic, ms; `now`: Unix ms. */
  judge(at: number, tell: Tell, now: number): void {
    const { rings, acks, peers } = this.#files.look(at);
    const { depth, subscribers, name } = this.channel;
    const verdict = judgeEvictions(this.#evictions, {
      depth,
      rings,
      subscribers: subscribers.flatMap((service, index) => {
        const peer = peers.subscribers[index];
        return peer?.isUp ? [{ name: service, isEvicted: peer.isEvicted, acks: acks[index] ?? [] }] : [];
      }),
      now: at,
    });
    this.#evictions = verdict;
    const { evict, restore } = verdict;
    if (evict.length + restore.length === 0) return;
    this.#files.changePeers((before) => ({
      ...before,
      subscribers: before.subscribers.map((peer, index) => {
        const service = subscribers[index] ?? '';
        if (evict.includes(service)) return { ...peer, isEvicted: true, evictions: peer.evictions + 1 };
        return restore.includes(service) ? { ...peer, isEvicted: false } : peer;
      }),
    }));
    for (const service of evict)
      tell(service, {
        code: 'channel.evicted',
        message: `Channel "${name}": ${service} stood still a whole ring behind; publishers no longer wait for it`,
        at: now,
      });
    for (const service of restore)
      tell(service, {
        code: 'channel.restored',
        message: `Channel "${name}": ${service} keeps up again`,
        at: now,
      });
  }

  repaired(deviations: readonly Deviation[], tell: Tell, at: number): void {
    this.#fault = undefined;
    const culprits = [...new Set(deviations.map(({ by }) => by))];
    for (const by of culprits) {
      const what = deviations.filter((each) => each.by === by).map(({ text }) => text);
      const message = `Channel "${this.channel.name}" was set right: ${what.join('; ')}`.slice(0, 500);
      tell(by, { code: 'repair.channel', message, at });
    }
  }

  failed(error: unknown, tell: Tell, at: number): void {
    const fault = (error instanceof Error ? error.message : String(error)).slice(0, 500);
    if (fault !== this.#fault) tell(undefined, { code: 'repair.channel-failed', message: fault, at });
    this.#fault = fault;
  }

  #tellSeldom(tell: Tell, service: string, code: ReasonCode, what: string, now: number): void {
    const key = `${code} ${service}`;
    if (now - (this.#told.get(key) ?? -Infinity) < TELL_AGAIN_MS) return;
    this.#told.set(key, now);
    tell(service, { code, message: `Channel "${this.channel.name}": ${service} ${what}`, at: now });
  }
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
