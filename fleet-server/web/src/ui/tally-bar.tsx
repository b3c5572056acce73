import type { Tally } from '../derive/rollout.ts';
import type { Tone } from '../format/words.ts';

const SEGMENTS: readonly { key: Exclude<keyof Tally, 'total'>; tone: Tone }[] = [
  { key: 'done', tone: 'ok' },
  { key: 'moving', tone: 'busy' },
  { key: 'failed', tone: 'bad' },
  { key: 'waiting', tone: 'quiet' },
  { key: 'superseded', tone: 'quiet' },
];

/** Decoration: the numbers always stand beside it in words. */
export function TallyBar({ tally }: { tally: Tally }) {
  return (
    <span className="tally" aria-hidden="true">
      {SEGMENTS.filter(({ key }) => tally[key] > 0).map(({ key, tone }) => (
        <span key={key} className={`tally-part tone-${tone}`} style={{ flexGrow: tally[key] }} />
      ))}
    </span>
  );
}
