import type { ChannelStatus } from '../../protocol/channel-status.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { Channels, ChannelUse } from './ports.ts';
import type { ServiceSpec } from './service-spec.ts';

/** Channels that are names in a set. */
export class FakeChannels implements Channels {
  readonly made = new Set<string>();
  /** Of the last `settle`. */
  running: readonly ChannelUse[] = [];
  /** Ids that cannot be had. */
  readonly lacking = new Map<string, Error>();
  readonly #watchers = new Set<(service: string | undefined, reason: Reason) => void>();

  async prepare(services: readonly ServiceSpec[]): Promise<ReadonlyMap<string, Error>> {
    const wanted = idsOf(services);
    for (const id of wanted) if (!this.lacking.has(id)) this.made.add(id);
    return new Map([...this.lacking].filter(([id]) => wanted.includes(id)));
  }

  async settle(services: readonly ServiceSpec[], running: readonly ChannelUse[]): Promise<void> {
    this.running = running;
    const kept = [...idsOf(services), ...running.flatMap(({ channels = [] }) => channels)];
    for (const id of this.made) if (!kept.includes(id)) this.made.delete(id);
  }

  async check(): Promise<void> {}

  status(): ChannelStatus[] {
    return [];
  }

  watch(onNews: (service: string | undefined, reason: Reason) => void): () => void {
    this.#watchers.add(onNews);
    return () => this.#watchers.delete(onNews);
  }

  tell(service: string, reason: Reason): void {
    for (const watcher of this.#watchers) watcher(service, reason);
  }

  async destroy(): Promise<void> {
    this.made.clear();
  }
}

const idsOf = (services: readonly ServiceSpec[]): string[] =>
  services.flatMap(({ channels = [] }) => channels.map(({ id }) => id));
