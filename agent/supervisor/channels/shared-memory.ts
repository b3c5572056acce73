import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelStatus } from '../../../protocol/channel-status.ts';
import { META_BYTES } from '../../../protocol/channels.ts';
import type { Reason } from '../../../protocol/reasons.ts';
import { serviceOf } from '../instance-name.ts';
import type { ChannelCgroups, Channels, ChannelUse, Clock } from '../ports.ts';
import type { ServiceChannel, ServiceSpec } from '../service-spec.ts';
import { leaversOf } from './core/leavers.ts';
import { namesIn } from './core/peers.ts';
import { KnownChannel, type Tell } from './known-channel.ts';
import { makeChannel } from './make-channel.ts';
import { foldersIn, readBytes, removeTmpfs } from './tmpfs-files.ts';

export interface SharedMemoryOptions {
  /** `channels` below it holds a folder a channel. */
  runDir: string;
  cgroups: ChannelCgroups;
  /** Host user of a service. */
  ownerOf(spec: ServiceSpec): Promise<number>;
  clock: Clock;
}

/** From one look at the readers of reliable channels to the next. */
const EVICTION_LOOK_MS = 250;

export const channelsFolder = (runDir: string): string => join(runDir, 'channels');

/** One tmpfs a channel. What there is, is read from the machine; only counts and times are kept here. */
export class SharedMemoryChannels implements Channels {
  readonly #options: SharedMemoryOptions;
  readonly #folder: string;
  readonly #known = new Map<string, KnownChannel>();
  readonly #watchers = new Set<Tell>();
  #last: Promise<unknown> = Promise.resolve();
  #cancelLook: (() => void) | undefined;

  constructor(options: SharedMemoryOptions) {
    this.#options = options;
    const folder = channelsFolder(options.runDir);
    // The users of containers must be able to get to the files.
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    // mountinfo shows where things really are.
    this.#folder = realpathSync(folder);
  }

  prepare(services: readonly ServiceSpec[]): Promise<ReadonlyMap<string, Error>> {
    return this.#inTurn(async () => {
      const faults = new Map<string, Error>();
      for (const channel of channelsOf(services)) {
        try {
          await this.#make(channel, await this.#ownersOf(channel, services));
        } catch (error) {
          faults.set(channel.id, channelError(error));
        }
      }
      this.#scheduleLook();
      return faults;
    });
  }

  settle(services: readonly ServiceSpec[], running: readonly ChannelUse[]): Promise<void> {
    return this.#inTurn(async () => {
      const wanted = channelsOf(services);
      const found = this.#found();
      const whole = new Set(found.flatMap(({ id, peers }) => (peers === undefined ? [] : [id])));
      for (const channel of wanted) if (whole.has(channel.id)) this.#adopt(channel);
      const uses = running.map((use) => ({ ...use, service: serviceOf(use.service) }));
      const leavers = leaversOf(found, new Set(wanted.map(({ id }) => id)), uses);
      for (const id of leavers) await this.#remove(id);
      for (const known of this.#known.values()) {
        const onIt = uses.filter(({ channels }) => channels?.includes(known.channel.id) ?? true);
        this.#attempt(known, () => known.note(new Map(onIt.map((use) => [use.service, use.startedAt]))));
      }
      this.#scheduleLook();
    });
  }

  check(): Promise<void> {
    return this.#inTurn(async () => {
      for (const known of this.#known.values()) await this.#check(known);
    });
  }

  status(): ChannelStatus[] {
    // While a release switches there are two of a name; the newer one is shown.
    const newest = new Map([...this.#known.values()].map((known) => [known.channel.name, known]));
    return [...newest.values()]
      .map((known) => known.status(this.#options.cgroups.read(known.channel.id)?.usedBytes))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  watch(onNews: Tell): () => void {
    this.#watchers.add(onNews);
    this.#scheduleLook();
    return () => {
      this.#watchers.delete(onNews);
      this.#scheduleLook();
    };
  }

  destroy(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { id } of this.#found()) await this.#remove(id);
      this.#scheduleLook();
    });
  }

  /** The newest making of a channel by its name, for reading along. */
  pathOf(name: string): { channel: ServiceChannel; path: string } | undefined {
    const known = [...this.#known.values()].findLast(({ channel }) => channel.name === name);
    return known && { channel: known.channel, path: known.path };
  }

  async #make(channel: ServiceChannel, owners: ReadonlyMap<string, number>): Promise<void> {
    const { cgroups } = this.#options;
    const path = join(this.#folder, channel.id);
    const wasWhole = this.#known.get(channel.id)?.owners !== undefined;
    const repaired = await makeChannel(channel, { path, cgroups, owners, wasWhole });
    const known = this.#adopt(channel);
    known.owners = owners;
    known.repaired(repaired, this.#tell, this.#options.clock.now());
  }

  async #check(known: KnownChannel): Promise<void> {
    const now = this.#options.clock.now();
    try {
      if (known.owners !== undefined) await this.#make(known.channel, known.owners);
      known.sample(performance.now(), this.#tell, now);
    } catch (error) {
      known.failed(error, this.#tell, now);
    }
  }

  #adopt(channel: ServiceChannel): KnownChannel {
    const present = this.#known.get(channel.id);
    if (present !== undefined) return present;
    const known = new KnownChannel(channel, join(this.#folder, channel.id));
    this.#known.set(channel.id, known);
    return known;
  }

  async #remove(id: string): Promise<void> {
    this.#known.delete(id);
    await removeTmpfs(join(this.#folder, id));
    await this.#options.cgroups.remove(id);
  }

  /** Where somebody took the files away it is told; the next check makes them anew. */
  #attempt(known: KnownChannel, act: (now: number) => void): void {
    const now = this.#options.clock.now();
    try {
      act(now);
    } catch (error) {
      known.failed(error, this.#tell, now);
    }
  }

  /** Folders and cgroups alike: a removal may have been cut off between the two. */
  #found(): { id: string; peers: string[] | undefined }[] {
    const ids = new Set([...foldersIn(this.#folder), ...this.#options.cgroups.names()]);
    return [...ids].map((id) => ({
      id,
      peers: namesIn(readBytes(join(this.#folder, id, 'meta'), 0, META_BYTES)),
    }));
  }

  async #ownersOf(
    { publishers, subscribers }: ServiceChannel,
    services: readonly ServiceSpec[],
  ): Promise<Map<string, number>> {
    const owners = new Map<string, number>();
    for (const spec of services) {
      const service = serviceOf(spec.name);
      if (publishers.includes(service) || subscribers.includes(service))
        owners.set(service, await this.#options.ownerOf(spec));
    }
    return owners;
  }

  /** Only while there is somebody to evict and somebody to be told. What is due already stays due. */
  #scheduleLook(): void {
    if (!this.#isWatched()) {
      this.#cancelLook?.();
      this.#cancelLook = undefined;
      return;
    }
    this.#cancelLook ??= this.#options.clock.after(
      EVICTION_LOOK_MS,
      () => void this.#inTurn(() => this.#look()),
    );
  }

  async #look(): Promise<void> {
    this.#cancelLook = undefined;
    for (const known of this.#reliable())
      this.#attempt(known, (now) => known.judge(performance.now(), this.#tell, now));
    this.#scheduleLook();
  }

  #isWatched(): boolean {
    return this.#watchers.size > 0 && this.#reliable().length > 0;
  }

  #reliable(): KnownChannel[] {
    return [...this.#known.values()].filter(({ channel }) => channel.mode === 'reliable');
  }

  readonly #tell: Tell = (service, reason: Reason) => {
    for (const watcher of this.#watchers) watcher(service, reason);
  };

  /** One change at a time: what is found must still be there when it is acted upon. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(act);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}

/** Each once. */
function channelsOf(services: readonly ServiceSpec[]): ServiceChannel[] {
  const all = services.flatMap(({ channels = [] }) =>
    channels.map((channel) => [channel.id, channel] as const),
  );
  return [...new Map(all).values()];
}

const channelError = (cause: unknown): Error => {
  const message = cause instanceof Error ? cause.message : String(cause);
  return Object.assign(new Error(message, { cause }), { code: 'fail.channel' });
};
