import type { TargetFile } from '@tufjs/models';
import { LIMITS } from '../../../protocol/limits.ts';
import { delegationsOf, type SignedRole } from '../../../protocol/tuf.ts';
import { isDelegated } from '../../../protocol/tuf-paths.ts';

export interface FoundTarget {
  target: TargetFile;
  /** The role that names it, and those that delegate to it, from targets on. */
  chain: { role: string; metadata: SignedRole<'targets'> }[];
}

export type Search =
  | ({ outcome: 'found' } & FoundTarget)
  | { outcome: 'absent' }
  /** The search came to its limit of roles. */
  | { outcome: 'given-up' };

interface Step {
  role: string;
  /** Empty for targets itself. */
  chain: FoundTarget['chain'];
}

/**
 * Looks a target up in pre-order, depth first, each role once. `load` gives a delegated role verified against the one
 * that delegates to it, and throws when it cannot be trusted: that ends the search. TUF 1.0.34 §5.6.7.
 */
export async function searchTarget(
  path: string,
  targets: SignedRole<'targets'>,
  load: (role: string, delegator: SignedRole<'targets'>) => Promise<SignedRole<'targets'>>,
): Promise<Search> {
  const visited = new Set<string>();
  let waiting: Step[] = [{ role: 'targets', chain: [] }];
  for (;;) {
    const step = waiting.pop();
    if (!step) return { outcome: 'absent' };
    if (visited.has(step.role)) continue;
    // §5.6.7.1: targets itself is not counted.
    if (visited.size > LIMITS.delegatedRoles) return { outcome: 'given-up' };
    visited.add(step.role);
    const delegator = step.chain.at(-1)?.metadata;
    const metadata = delegator ? await load(step.role, delegator) : targets;
    const chain = [...step.chain, { role: step.role, metadata }];
    const target = Object.hasOwn(metadata.signed.targets, path) ? metadata.signed.targets[path] : undefined;
    if (target) return { outcome: 'found', target, chain };
    const { roles, isTerminated } = delegateesFor(metadata, path);
    // §5.6.7.2.1: past a terminating delegation nothing else is searched.
    if (isTerminated) waiting = [];
    waiting.push(...roles.map((role) => ({ role, chain })).reverse());
  }
}

/** The roles that may name the path, in order, up to and with the first terminating one. */
function delegateesFor(
  metadata: SignedRole<'targets'>,
  path: string,
): { roles: string[]; isTerminated: boolean } {
  const matching = delegationsOf(metadata).filter((role) => isDelegated(role, path));
  const end = matching.findIndex(({ terminating }) => terminating);
  const taken = end < 0 ? matching : matching.slice(0, end + 1);
  return { roles: taken.map(({ name }) => name), isTerminated: end >= 0 };
}
