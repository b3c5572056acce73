import type { Degradation } from '../../../protocol/status.ts';
import type { Budget } from '../ports.ts';
import { IO_RATES } from './io-limits.ts';

/** What this machine can hold. Each text says why not; undefined = it can. */
export interface Shortcomings {
  memoryHigh?: string | undefined;
  memoryMin?: string | undefined;
  swap?: string | undefined;
  cpuset?: string | undefined;
  /** Rates and weight alike. */
  io?: string | undefined;
  ioWrites?: string | undefined;
  ioWeight?: string | undefined;
}

/** What of a budget cannot be held, by its name in the budget. Swap is in every budget: 0 unless it says more. */
export function degradedParts(budget: Budget, lacks: Shortcomings): Degradation[] {
  const found: Degradation[] = [];
  const note = (what: string, isAsked: boolean, why: string | undefined): void => {
    if (isAsked && why !== undefined) found.push({ what, why });
  };
  note('memoryHighBytes', budget.memoryHighBytes !== undefined, lacks.memoryHigh);
  note('memoryMinBytes', (budget.memoryMinBytes ?? 0) > 0, lacks.memoryMin);
  note('swapMaxBytes', true, lacks.swap);
  note('cpuset', budget.cpuset !== undefined, lacks.cpuset);
  note('io.weight', budget.io?.weight !== undefined, lacks.io ?? lacks.ioWeight);
  for (const { field } of IO_RATES) {
    const why = lacks.io ?? (field.startsWith('write') ? lacks.ioWrites : undefined);
    note(`io.${field}`, budget.io?.[field] !== undefined, why);
  }
  return found;
}

export const WHY = {
  v1High: 'cgroup v1 has no memory.high; memory.max holds; boot with cgroup v2 for it',
  v1Min: 'cgroup v1 has no memory.min; boot with cgroup v2 for it',
  swap: 'this kernel does not account swap per service, and swap is on; add "swapaccount=1" to its command line or turn swap off',
  cpuset: 'this kernel offers no cpuset controller',
  io: 'this kernel offers no io controller',
  disk: "the folder of the agent's state is not on a disk that the kernel can limit",
  v1Writes:
    'cgroup v1 limits direct writes only, not those through the page cache; boot with cgroup v2 for both',
  weight: 'the disk is scheduled neither by bfq nor with io.cost; set its scheduler to bfq',
} as const;
