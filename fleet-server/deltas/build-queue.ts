/** Something to build. Two of one key are one. */
export interface QueuedBuild {
  key: string;
  run(signal: AbortSignal): Promise<void>;
}

/** One build at a time: what somebody waits for comes first, and takes the turn of what nobody does. */
export class BuildQueue {
  readonly #most: number;
  readonly #onError: (error: unknown) => void;
  readonly #wanted: QueuedBuild[] = [];
  readonly #spare: QueuedBuild[] = [];
  #running: { build: QueuedBuild; isSpare: boolean; abort: AbortController } | undefined;
  #work: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(most: number, onError: (error: unknown) => void) {
    this.#most = most;
    this.#onError = onError;
  }

  /** Somebody waits for it. False when the queue is full. */
  want(build: QueuedBuild): boolean {
    if (this.#isClosed) return false;
    const isComing = (other: QueuedBuild | undefined) => other?.key === build.key;
    if (isComing(this.#running?.build) || this.#wanted.some(isComing)) return true;
    if (this.#wanted.length >= this.#most) return false;
    this.#wanted.push(build);
    if (this.#running?.isSpare) this.#running.abort.abort();
    this.#next();
    return true;
  }

  /** For when there is nothing else to do; forgotten when the queue is full. */
  spare(build: QueuedBuild): void {
    if (this.#isClosed || this.#spare.length >= this.#most) return;
    if (this.#spare.some(({ key }) => key === build.key)) return;
    this.#spare.push(build);
    this.#next();
  }

  /** Stops what runs and forgets the rest. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wanted.length = 0;
    this.#spare.length = 0;
    this.#running?.abort.abort();
    await this.#work;
  }

  #next(): void {
    if (this.#running) return;
    const wanted = this.#wanted.shift();
    const build = wanted ?? this.#spare.shift();
    if (!build) return;
    const abort = new AbortController();
    const isSpare = wanted === undefined;
    this.#running = { build, isSpare, abort };
    this.#work = build
      .run(abort.signal)
      .catch((error: unknown) => {
        if (!abort.signal.aborted) this.#onError(error);
        else if (isSpare && !this.#isClosed) this.#spare.unshift(build);
      })
      .finally(() => {
        this.#running = undefined;
        this.#next();
      });
  }
}
