import { tally } from '../format/quantity.ts';

/** Of things that should not happen: zero is quiet. */
export function Count({ value, tone }: { value: number; tone: 'warn' | 'bad' }) {
  return value === 0 ? (
    <span className="soft">0</span>
  ) : (
    <strong className={`text-${tone}`}>{tally(value)}</strong>
  );
}
