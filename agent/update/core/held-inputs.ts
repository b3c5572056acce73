import type { UpdateInput } from './transition.ts';

/** Inputs whose step could not be made durable, in order; of offers only the newest counts. */
export class HeldInputs {
  #inputs: UpdateInput[] = [];

  add(input: UpdateInput): void {
    this.#inputs = [...this.#inputs.filter(({ type }) => type !== input.type), input];
  }

  has(type: UpdateInput['type']): boolean {
    return this.#inputs.some((input) => input.type === type);
  }

  take(): UpdateInput[] {
    const inputs = this.#inputs;
    this.#inputs = [];
    return inputs;
  }
}
