import type { UpdateRecord } from './record.ts';
import { rollBack } from './soak.ts';
import { enter, type Transition, UPDATE_RULES, type UpdateContext } from './transition.ts';
import { isWhereItBelongs, otherSystem, trialSeen } from './trial.ts';

/** The process came up. */
export function resume(record: UpdateRecord, context: UpdateContext): Transition {
  switch (record.phase) {
    case 'fetching':
    case 'verified':
    case 'staged':
      // Fetch again from the top: whatever is whole already costs nothing, whatever was lost is noticed.
      return enter(record, 'fetching', context, {}, ['apply', 'fetch']);
    case 'waiting':
      // What is ready needs no network: it may have its window before the link is back.
      return record.incoming?.isReady
        ? enter(record, 'verified', context, {}, ['apply', 'stage'])
        : enter(record, 'fetching', context, {}, ['apply', 'fetch']);
    case 'switching':
    case 'soaking':
      return resumeSwitch(record, context);
    case 'committed':
      // The power may have gone between the commit and what it frees.
      return settled(record, context, ['apply', 'collect']);
    default:
      return settled(record, context, ['apply']);
  }
}

function settled(record: UpdateRecord, context: UpdateContext, effects: Transition['effects']): Transition {
  const event = otherSystem(record, context);
  return { record, effects, events: event ? [event] : [], isDurable: event !== undefined };
}

function resumeSwitch(record: UpdateRecord, context: UpdateContext): Transition {
  const { incoming } = record;
  const wanted = incoming?.agent;
  if (wanted !== undefined && context.agent?.failed === wanted)
    return fallBack(record, `its agent ${wanted} did not become healthy`, context);
  const trial = trialSeen(record, context);
  if (trial.is === 'lost') return fallBack(record, trial.why, context);
  // A start that only asks for another trial is none of that trial's.
  const resumes = record.resumes + (trial.is === 'cut' ? 0 : 1);
  if (resumes > UPDATE_RULES.resumes) {
    const what = trial.is === 'untried' ? 'the board did not try its system in' : 'the agent was started';
    return fallBack(
      record,
      `${what} ${resumes} ${trial.is === 'untried' ? 'boots' : 'times since the switch'}`,
      context,
    );
  }
  return enter(record, 'switching', context, { resumes, incoming: trial.incoming }, ['apply']);
}

/** Where there is no release to go back to, what of the incoming one did not come up is left out of the one that stays. */
function fallBack(record: UpdateRecord, why: string, context: UpdateContext): Transition {
  const { incoming } = record;
  if (!incoming) return rollBack(record, why, context);
  const isTried = incoming.agent !== undefined && incoming.agent === context.agent?.running;
  const agent = isTried ? incoming.agent : undefined;
  const system = isWhereItBelongs(incoming, context) ? incoming.system : undefined;
  return rollBack({ ...record, incoming: { ...incoming, agent, system } }, why, context);
}
