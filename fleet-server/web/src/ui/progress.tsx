import type { Tone } from '../format/words.ts';

interface ProgressProps {
  label: string;
  percent: number;
  tone: Tone;
}

export function Progress({ label, percent, tone }: ProgressProps) {
  return (
    <div
      className={`progress tone-${tone}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span className="progress-fill" style={{ inlineSize: `${percent}%` }} />
    </div>
  );
}
