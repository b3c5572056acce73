import type { ReasonCode } from '../../protocol/reasons.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { ChunkSource, Log, ReleaseTrust } from './ports.ts';
import { SourceError } from './sources/source-error.ts';

/** What this device knows of the newest signed metadata. Times are Unix ms. */
export interface Freshness {
  /** When the server last gave metadata that was accepted. */
  checkedAt?: number;
  /** Until when it holds: what is given after that was withheld or is old. */
  expiresAt?: number;
  /** Why the last look was not accepted. */
  fault?: { code: ReasonCode; message: string; at: number };
}

/** What came of one look at the signed metadata. Times are Unix ms. */
export type Looked =
  | { state: 'fresh'; checkedAt: number; expiresAt: number }
  | { state: 'refused'; code: ReasonCode; message: string; at: number }
  | { state: 'unreachable'; message: string };

export interface TrustWatchOptions {
  trust: Pick<ReleaseTrust, 'refresh'>;
  source: ChunkSource;
  clock: Clock;
  /** Trusted time, Unix ms. */
  now(): number;
  isOnline(): boolean;
  /** A look that was accepted before is not any more. */
  onStale(fault: NonNullable<Freshness['fault']>): void;
  log: Log;
}

/** A timestamp holds for a day: two looks in that time. */
const LOOK_MS = 10 * 3_600_000;
/** After a look that could not be had, or that was not accepted. */
const RETRY_MS = 15 * 60_000;
const FIRST_MS = 60_000;

/**
 * Looks at the signed metadata also when there is nothing to install. Whoever stands between device and server can
 * withhold, and a device that never looks would not notice: what it was given last runs out, and that is told.
 */
export class TrustWatch {
  readonly #options: TrustWatchOptions;
  readonly #stopping = new AbortController();
  #freshness: Freshness = {};
  #cancel: () => void = () => undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: TrustWatchOptions) {
    this.#options = options;
  }

  start(): void {
    // Many devices that came up together do not ask together.
    this.#later(FIRST_MS * (1 + Math.random()));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancel();
    await this.#looking;
  }

  get freshness(): Freshness {
    return this.#freshness;
  }

  /** Looks at once, whatever was due; never two looks at the same time. */
  async lookNow(): Promise<Looked> {
    await this.#looking;
    const look = this.#look();
    this.#cancel();
    this.#looking = look.then(({ waitMs }) => this.#later(waitMs));
    return (await look).looked;
  }

  #later(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#looking = this.#look().then(({ waitMs }) => this.#later(waitMs));
    });
  }

  /** `waitMs`: before the next look. */
  async #look(): Promise<{ looked: Looked; waitMs: number }> {
    const { trust, source, now, isOnline, log } = this.#options;
    if (!isOnline()) return missed('the link to the server is down');
    const at = now();
    try {
      const seen = await trust.refresh(at, source, this.#stopping.signal);
      if (!seen.ok) {
        const { code, message } = seen;
        this.#refused({ code, message, at });
        return { looked: { state: 'refused', code, message, at }, waitMs: RETRY_MS };
      }
      this.#freshness = { checkedAt: at, expiresAt: seen.expiresAt };
      const waitMs = Math.min(LOOK_MS, Math.max(RETRY_MS, (seen.expiresAt - at) / 2));
      return { looked: { state: 'fresh', checkedAt: at, expiresAt: seen.expiresAt }, waitMs };
    } catch (error) {
      // Nothing published yet, or a line that broke: no judgement of what was signed.
      if (!(error instanceof SourceError))
        log.warn({ error }, `Cannot look at the signed metadata: ${String(error)}`);
      return missed(error instanceof Error ? error.message : String(error));
    }
  }

  #refused(fault: NonNullable<Freshness['fault']>): void {
    const isNews = this.#freshness.fault?.code !== fault.code;
    this.#freshness = { ...this.#freshness, fault };
    this.#options.log.warn({ code: fault.code }, fault.message);
    if (isNews) this.#options.onStale(fault);
  }
}

const missed = (message: string) => ({
  looked: { state: 'unreachable' as const, message },
  waitMs: RETRY_MS,
});
