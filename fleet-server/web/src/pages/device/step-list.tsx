import type { StepState, UpdateStep } from '../../derive/update-steps.ts';

const SPOKEN: Record<StepState, string> = { done: 'done', now: 'in progress', ahead: 'to come' };

export function StepList({ steps }: { steps: UpdateStep[] }) {
  return (
    <ol className="steps">
      {steps.map(({ label, state }) => (
        <li key={label} className={`step step-${state}`} aria-current={state === 'now' ? 'step' : undefined}>
          <span className="step-mark" aria-hidden="true" />
          <span>{label}</span>
          <span className="visually-hidden">, {SPOKEN[state]}</span>
        </li>
      ))}
    </ol>
  );
}
