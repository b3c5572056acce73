import { percent } from '../format/quantity.ts';

interface MeterProps {
  label: string;
  value: number | undefined;
  max: number;
  format: (value: number) => string;
}

const HIGH_PERCENT = 75;
const FULL_PERCENT = 92;

/** Use against a budget: a bar, the numbers and, near the limit, a word. */
export function Meter({ label, value, max, format }: MeterProps) {
  if (value === undefined) {
    return (
      <div className="meter">
        <span className="meter-text soft">not running · {format(max)}</span>
        <span className="meter-track" aria-hidden="true" />
      </div>
    );
  }
  const share = percent(value, max);
  const level = share >= FULL_PERCENT ? 'full' : share >= HIGH_PERCENT ? 'high' : 'fine';
  const text = `${format(value)} of ${format(max)}`;
  return (
    <div
      className={`meter meter-${level}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={share}
      aria-valuetext={text}
    >
      <span className="meter-text">
        <span>
          {format(value)} <span className="soft">/ {format(max)}</span>
        </span>
        <span className="meter-share">{level === 'fine' ? `${share} %` : `${share} % ${WORD[level]}`}</span>
      </span>
      <span className="meter-track" aria-hidden="true">
        <span className="meter-fill" style={{ inlineSize: `${share}%` }} />
      </span>
    </div>
  );
}

const WORD = { high: 'high', full: 'at limit' } as const;
