import type { Clock } from '../supervisor/ports.ts';
import type { Progress } from './fetch-release.ts';

const NOTICE_MS = 250;

/** How far the download of one release is; told at most four times a second. */
export class ProgressNotice {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #progress: (Progress & { manifest: string }) | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(clock: Clock, onChange: () => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  note(manifest: string, progress: Progress): void {
    this.#progress = { manifest, ...progress };
    if (this.#isStopped) return;
    this.#cancel ??= this.#clock.after(NOTICE_MS, () => {
      this.#cancel = undefined;
      this.#onChange();
    });
  }

  /** Undefined for another release than the one it is about. */
  of(manifest: string | undefined): Progress | undefined {
    const progress = this.#progress;
    if (progress === undefined || progress.manifest !== manifest) return undefined;
    const { doneBytes, totalBytes, reusedBytes } = progress;
    return { doneBytes, totalBytes, reusedBytes };
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }
}
