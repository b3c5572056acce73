import type { ServiceState } from '../../protocol/status.ts';
import type { Io } from './io.ts';

export interface Paint {
  dim: (text: string) => string;
  bold: (text: string) => string;
  good: (text: string) => string;
  warn: (text: string) => string;
  bad: (text: string) => string;
}

/** Whether the cursor may be moved: NO_COLOR says nothing of that, a dumb terminal cannot. */
export const canMove = ({ isTTY, env }: Pick<Io, 'isTTY' | 'env'>): boolean =>
  isTTY && env['TERM'] !== 'dumb';

/** Colours on a terminal that wants them (no-color.org); plain text elsewhere. */
export function paintFor({ isTTY, env }: Pick<Io, 'isTTY' | 'env'>): Paint {
  const isPlain = !canMove({ isTTY, env }) || Boolean(env['NO_COLOR']);
  const sgr = (code: number) => (text: string) => (isPlain ? text : `\u001b[${code}m${text}\u001b[0m`);
  return { dim: sgr(2), bold: sgr(1), good: sgr(32), warn: sgr(33), bad: sgr(31) };
}

export const STATE_PAINT: Record<ServiceState, keyof Paint> = {
  running: 'good',
  completed: 'good',
  stopped: 'dim',
  waiting: 'warn',
  shed: 'warn',
  starting: 'warn',
  stopping: 'warn',
  backing_off: 'warn',
  crash_looping: 'bad',
  failed: 'bad',
};
