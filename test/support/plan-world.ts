import type { World } from '../../agent/supervisor/core/plan.ts';
import { noShedding } from '../../agent/supervisor/core/shedding.ts';

/** Unix ms at which worldOf's plans are asked for. */
export const NOW = 50_000;

/** A machine on which nothing runs, is wanted or is remembered, but for `parts`. */
export const worldOf = (parts: Partial<World>): World => ({
  desired: [],
  isShuttingDown: false,
  isFirstPass: false,
  observed: [],
  records: new Map(),
  oomKills: new Map(),
  budgets: new Map(),
  degraded: new Map(),
  health: new Map(),
  shedding: noShedding(0),
  holds: new Map(),
  now: NOW,
  ...parts,
});
