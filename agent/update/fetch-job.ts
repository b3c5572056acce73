import type { Board } from '../../protocol/board.ts';
import type { Manifest, Platform } from '../../protocol/manifest.ts';
import { agentImageOf } from '../self-update/agent-image.ts';
import type { Clock } from '../supervisor/ports.ts';
import { systemImageOf } from '../system-slots/system-image.ts';
import type { ReleaseRef } from './core/record.ts';
import type { UpdateInput } from './core/transition.ts';
import { type FetchDeps, fetchRelease, type Progress } from './fetch-release.ts';
import { HalfPieces } from './piece-assembler.ts';
import type { BlobStore, ChunkSource, Log, ReleaseTrust, SystemSlots } from './ports.ts';

export interface FetchJobOptions {
  identity: { platform: Platform };
  board: Board;
  system?: { slots: Pick<SystemSlots, 'capacity' | 'read'> } | undefined;
  blobs: BlobStore;
  sourceOf(from: string | undefined): ChunkSource;
  trust: ReleaseTrust;
  clock: Clock;
  log: Log;
  times: { retryMinMs: number; retryMaxMs: number };
  now(): number;
  step(input: UpdateInput): void;
  onProgress(manifest: string, progress: Progress): void;
  collect(): Promise<void>;
  /** Releases that are on the device whole, the one in force first. */
  held(): Manifest[];
}

/** At most one download at a time: a new one begins when the one before has let go of its files. */
export class FetchJob {
  readonly #options: FetchJobOptions;
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: FetchJobOptions) {
    this.#options = options;
  }

  /** `from`: a folder to take it from as far as it goes. */
  begin(release: ReleaseRef, from: string | undefined): void {
    this.cancel();
    const abort = new AbortController();
    this.#abort = abort;
    this.#running = this.#running
      .then(() => this.#run(release, this.#options.sourceOf(from), abort.signal))
      .catch((error: unknown) =>
        this.#options.log.warn({ error }, `Cannot go on fetching: ${String(error)}`),
      );
  }

  /** Does something while nothing is fetched: what is collected must not be what a download counts on. */
  alone(work: () => Promise<void>): void {
    this.#running = this.#running
      .then(work)
      .catch((error: Error) => this.#options.log.warn({ error }, error.message));
  }

  cancel(): void {
    this.#abort?.abort();
  }

  async stop(): Promise<void> {
    this.cancel();
    await this.#running;
  }

  /** Tries until it is fetched, refused or called off. */
  async #run(release: ReleaseRef, source: ChunkSource, signal: AbortSignal): Promise<void> {
    const { times, log } = this.#options;
    let failures = 0;
    const deps = this.#depsFor(release, source, signal, () => {
      failures = 0;
    });
    while (!signal.aborted) {
      try {
        const outcome = await fetchRelease(release, deps, signal);
        if (signal.aborted) return;
        const { step } = this.#options;
        if (outcome.ok) step({ type: 'blobs-verified' });
        else step({ type: 'incoming-refused', code: outcome.code, message: outcome.message });
        return;
      } catch (error) {
        if (signal.aborted) return;
        const message = error instanceof Error ? error.message : String(error);
        log.warn({ error }, message);
        this.#options.step({ type: 'source-failed', message });
        const ceilingMs = Math.min(times.retryMaxMs, times.retryMinMs * 2 ** failures++);
        // Half fixed, half random: many devices that lost one server do not come back at once.
        await this.#wait(ceilingMs / 2 + (Math.random() * ceilingMs) / 2, signal);
      }
    }
  }

  #depsFor(release: ReleaseRef, source: ChunkSource, signal: AbortSignal, onProgress: () => void): FetchDeps {
    const { blobs, trust, board, system, identity, now, step, collect, held } = this.#options;
    let doneBytes = 0;
    return {
      source,
      blobs,
      trust,
      board,
      now,
      collect,
      held,
      spurned: new Set(),
      half: new HalfPieces(),
      onDeltaUnusable: (message) => {
        if (!signal.aborted) step({ type: 'delta-unusable', message });
      },
      onWait: (message) => {
        if (!signal.aborted) step({ type: 'source-failed', message });
      },
      platform: identity.platform,
      slots: system?.slots,
      onManifest: (manifest, document, standing) => {
        const { soakMs } = document.policy;
        const agent = agentImageOf(document, identity.platform)?.id;
        const brought = systemImageOf(document, board.name)?.id;
        if (!signal.aborted)
          step({ type: 'manifest-checked', manifest, soakMs, standing, agent, system: brought });
      },
      onProgress: (progress) => {
        if (signal.aborted) return;
        if (progress.doneBytes > doneBytes) onProgress();
        doneBytes = progress.doneBytes;
        this.#options.onProgress(release.manifest, progress);
      },
    };
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#options.clock.after(ms, end);
      signal.addEventListener('abort', end);
    });
  }
}
