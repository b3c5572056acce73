import type { NetAnswer } from './answers.ts';

/** Networks of the services as the kernel has them. */
export interface NetView {
  /** Asks the kernel; nothing is remembered from one look to the next. */
  look(): Promise<NetAnswer>;
}
