import type { Reason } from '../../../protocol/reasons.ts';
import { clockTime } from '../timestamp.ts';
import { formatDuration } from './duration.ts';
import { hang, printable } from './layout.ts';

/** A reason with what led to it, each cause deeper than what it led to, with its time. `heading` stands alone. */
export function reasonLines(
  { at, message, code, causes = [] }: Reason,
  now: number,
  columns: number,
): { heading: string; text: string[] } {
  const deeper = causes.flatMap((cause, index) => {
    const lead = `${'  '.repeat(index + 2)}because `;
    return hang(lead, `${printable(cause.message)} [${cause.code}], ${clockTime(cause.at)}`, columns);
  });
  return {
    heading: `${clockTime(at)}, ${formatDuration(now - at)} ago`,
    text: [...hang('  ', `${printable(message)} [${code}]`, columns), ...deeper],
  };
}
