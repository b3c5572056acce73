import type { ServerResponse } from 'node:http';
import type { Report } from '../../protocol/messages.ts';
import type { Feed } from '../feed.ts';
import type { DeviceSummary, Release, Rollout, StreamEvent } from './api.ts';

/** 4 Hz for each thing. */
const COALESCE_MS = 250;
const HEARTBEAT_MS = 15_000;
/** A watcher this far behind is cut; it reconnects and reads the state anew. */
const MOST_BUFFERED_BYTES = 4 * 1024 * 1024;

export interface StreamViews {
  device(id: string): Promise<DeviceSummary | undefined>;
  rollout(id: string): Promise<Rollout | undefined>;
  release(id: string): Promise<Release | undefined>;
}

/** Server-sent events to every watcher: the newest state of what changed, merged. */
export class Stream implements Feed {
  readonly #views: StreamViews;
  readonly #onError: (error: unknown) => void;
  readonly #watchers = new Set<ServerResponse>();
  #pending = new Map<string, () => Promise<StreamEvent | undefined>>();
  #timer: NodeJS.Timeout | undefined;
  readonly #heartbeat: NodeJS.Timeout;
  #id = 0;

  constructor(views: StreamViews, onError: (error: unknown) => void) {
    this.#views = views;
    this.#onError = onError;
    this.#heartbeat = setInterval(() => this.#write(':\n\n'), HEARTBEAT_MS);
  }

  deviceChanged(id: string): void {
    this.#later(`device ${id}`, async () => event('device', await this.#views.device(id)));
  }

  reported(id: string, report: Report): void {
    this.#later(`report ${id}`, () => Promise.resolve({ kind: 'device-report', data: { id, report } }));
  }

  postMortemCame(device: string, id: string): void {
    this.#later(`post-mortem ${device}`, () =>
      Promise.resolve({ kind: 'post-mortem', data: { device, id } }),
    );
  }

  rolloutChanged(id: string): void {
    this.#later(`rollout ${id}`, async () => event('rollout', await this.#views.rollout(id)));
  }

  releaseChanged(id: string): void {
    this.#later(`release ${id}`, async () => event('release', await this.#views.release(id)));
  }

  watch(response: ServerResponse): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 2000\n\n');
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
  }

  close(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.end();
  }

  #later(key: string, load: () => Promise<StreamEvent | undefined>): void {
    if (this.#watchers.size === 0) return;
    this.#pending.set(key, load);
    this.#timer ??= setTimeout(() => {
      this.#flush().catch(this.#onError);
    }, COALESCE_MS);
  }

  async #flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Map();
    this.#timer = undefined;
    for (const load of pending.values()) {
      const loaded = await load();
      if (!loaded) continue;
      this.#id++;
      this.#write(`id: ${this.#id}\nevent: ${loaded.kind}\ndata: ${JSON.stringify(loaded.data)}\n\n`);
    }
  }

  #write(text: string): void {
    for (const watcher of this.#watchers) {
      if (watcher.writableLength > MOST_BUFFERED_BYTES) watcher.destroy();
      else watcher.write(text);
    }
  }
}

/** Undefined when the thing went away between the change and now. */
function event<K extends StreamEvent['kind']>(kind: K, data: unknown): StreamEvent | undefined {
  return data === undefined ? undefined : ({ kind, data } as StreamEvent);
}
