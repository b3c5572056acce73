import type { UpdatePhase } from '../api/types.ts';

export type StepState = 'done' | 'now' | 'ahead';
export interface UpdateStep {
  label: string;
  state: StepState;
}

const STEPS: readonly { phase: UpdatePhase; label: string }[] = [
  { phase: 'fetching', label: 'Fetch' },
  { phase: 'verified', label: 'Verify' },
  { phase: 'staged', label: 'Stage' },
  { phase: 'switching', label: 'Switch' },
  { phase: 'soaking', label: 'Soak' },
  { phase: 'committed', label: 'Commit' },
];

/** Undefined where the phase is not on the way forward (idle, refused, rolling back): there is no step to point at. */
export function updateSteps(phase: UpdatePhase, reason?: string): UpdateStep[] | undefined {
  const steps = phase === 'waiting' ? withWait(reason) : STEPS;
  const now = steps.findIndex((step) => step.phase === phase);
  if (now === -1) return undefined;
  return steps.map(({ label }, index) => ({ label, state: stepState(index, now, phase) }));
}

/** Most waits are for the switch; one for another link comes before anything is fetched. */
function withWait(reason: string | undefined): typeof STEPS {
  const at = reason === 'wait.metered' ? 0 : STEPS.findIndex(({ phase }) => phase === 'switching');
  return STEPS.toSpliced(at, 0, { phase: 'waiting', label: 'Wait' });
}

function stepState(index: number, now: number, phase: UpdatePhase): StepState {
  if (index < now || phase === 'committed') return 'done';
  return index === now ? 'now' : 'ahead';
}
