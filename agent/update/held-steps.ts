import type { Clock } from '../supervisor/ports.ts';
import { HeldInputs } from './core/held-inputs.ts';
import type { UpdateInput } from './core/transition.ts';

/** Steps that the disk did not take: nothing of them happened, and they are tried again. */
export class HeldSteps {
  readonly #inputs = new HeldInputs();
  readonly #clock: Clock;
  readonly #retryMs: number;
  readonly #step: (input: UpdateInput) => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, retryMs: number, step: (input: UpdateInput) => void) {
    this.#clock = clock;
    this.#retryMs = retryMs;
    this.#step = step;
  }

  hold(input: UpdateInput): void {
    // The next look at the services tells the same again.
    if (input.type !== 'health') this.#inputs.add(input);
    this.#cancel ??= this.#clock.after(this.#retryMs, () => {
      this.#cancel = undefined;
      for (const held of this.#inputs.take()) this.#step(held);
    });
  }

  has(type: UpdateInput['type']): boolean {
    return this.#inputs.has(type);
  }

  stop(): void {
    this.#cancel?.();
  }
}
