import { dateTime, relative } from '../format/time.ts';
import { useNow } from '../live/now.tsx';

/** A relative time with the full one in its title. `at` in Unix milliseconds. */
export function When({ at }: { at: number }) {
  const now = useNow();
  return (
    <time className="nowrap" dateTime={new Date(at).toISOString()} title={dateTime(at)}>
      {relative(at, now)}
    </time>
  );
}
