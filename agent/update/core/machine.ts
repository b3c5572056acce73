import { isoTime } from '../../../protocol/instant.ts';
import { applied, assigned, refuseOffer } from './offers.ts';
import { agentWanted, labelOf, type UpdateRecord } from './record.ts';
import { healthSeen, rollBack, rollBackByHand } from './soak.ts';
import {
  clip,
  enter,
  type Transition,
  UPDATE_RULES,
  type UpdateContext,
  type UpdateInput,
  unchanged,
} from './transition.ts';
import { look, switchOrWait, wished } from './waiting.ts';

/** The update machine: what an input does to the record, and what is to be done about it once that is durable. */
export function advance(record: UpdateRecord, input: UpdateInput, context: UpdateContext): Transition {
  const next = decide(record, input, context);
  // The agent comes before the services that it runs, and is settled before what it no longer needs goes.
  const asksAgent = next.effects.some((effect) => effect === 'apply' || effect === 'collect');
  return asksAgent && agentWanted(next.record)
    ? { ...next, effects: ['switch-agent', ...next.effects] }
    : next;
}

function decide(record: UpdateRecord, input: UpdateInput, context: UpdateContext): Transition {
  switch (input.type) {
    case 'started':
      return resume(record, context);
    case 'assigned':
      return assigned(record, input.assignment, context);
    case 'applied':
      return applied(record, input, context);
    case 'offer-refused':
      return refuseOffer(record, undefined, input, context);
    case 'look':
      return look(record, context);
    case 'fleet-key':
      return keyChanged(record, input);
    case 'time':
      return timeTold(record, input.at);
    case 'roll-back':
      return rollBackByHand(record, input.by, context);
    case 'health':
      return healthSeen(record, input.health, input.elapsedMs, context);
    default:
      return incomingMoved(record, input, context);
  }
}

function resume(record: UpdateRecord, context: UpdateContext): Transition {
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
    case 'soaking': {
      const wanted = record.incoming?.agent;
      if (wanted !== undefined && context.agent?.failed === wanted)
        return fallBack(record, `its agent ${wanted} did not become healthy`, context);
      const resumes = record.resumes + 1;
      if (resumes > UPDATE_RULES.resumes)
        return fallBack(record, `the agent was started ${resumes} times since the switch`, context);
      return enter(record, 'switching', context, { resumes }, ['apply']);
    }
    case 'committed':
      // The power may have gone between the commit and what it frees.
      return { record, effects: ['apply', 'collect'], events: [], isDurable: false };
    default:
      return { record, effects: ['apply'], events: [], isDurable: false };
  }
}

/** Where there is no release to go back to, the agent that did not come up is left out of the one that stays. */
function fallBack(record: UpdateRecord, why: string, context: UpdateContext): Transition {
  const { incoming } = record;
  const isTried = incoming?.agent !== undefined && incoming.agent === context.agent?.running;
  return rollBack(
    isTried || !incoming ? record : { ...record, incoming: { ...incoming, agent: undefined } },
    why,
    context,
  );
}

function keyChanged(record: UpdateRecord, { key, enrolled }: { key: string; enrolled: string }): Transition {
  const event = {
    code: 'update.fleet-key' as const,
    message: 'The fleet key was replaced by one that the key before signed',
    release: record.about,
    phase: record.phase,
  };
  return {
    record: { ...record, fleetKey: { key, enrolled } },
    effects: [],
    events: [event],
    isDurable: true,
  };
}

/** Written down once in a while: what matters is that years are not lost, nor the disk worn. */
function timeTold(record: UpdateRecord, at: number): Transition {
  if (at <= record.trustedTime) return unchanged(record);
  return {
    ...unchanged({ ...record, trustedTime: at }),
    isDurable: at - record.trustedTime > UPDATE_RULES.timeKeptMs,
  };
}

function incomingMoved(
  record: UpdateRecord,
  input: Extract<
    UpdateInput,
    {
      type:
        | 'consent'
        | 'defer'
        | 'switch'
        | 'staged'
        | 'blobs-verified'
        | 'source-failed'
        | 'delta-unusable'
        | 'manifest-checked'
        | 'incoming-refused';
    }
  >,
  context: UpdateContext,
): Transition {
  const { incoming, phase } = record;
  if (!incoming) return unchanged(record);
  switch (input.type) {
    case 'incoming-refused': {
      const isBeforeSwitch = ['fetching', 'verified', 'staged', 'waiting'].includes(phase);
      if (!isBeforeSwitch) return unchanged(record);
      const { code, message } = input;
      return enter(record, 'refused', context, { incoming: undefined }, [], { code, message });
    }
    case 'manifest-checked': {
      if (phase !== 'fetching') return unchanged(record);
      const { manifest, soakMs, standing, agent } = input;
      const { name } = incoming.release;
      const floors = { ...record.floors, [name]: Math.max(record.floors?.[name] ?? 0, standing?.floor ?? 0) };
      const checked = { ...incoming, manifest, soakMs, counter: standing?.counter, agent };
      const next = { ...record, reason: undefined, incoming: checked, floors };
      return { record: next, effects: [], events: [], isDurable: true };
    }
    case 'source-failed': {
      if (phase !== 'fetching') return unchanged(record);
      const reason = { code: 'retry.source' as const, message: clip(input.message), at: context.at };
      return { record: { ...record, reason }, effects: [], events: [], isDurable: false };
    }
    case 'delta-unusable': {
      if (phase !== 'fetching') return unchanged(record);
      const why = { code: 'update.delta-unusable' as const, message: clip(input.message) };
      const event = { ...why, release: record.about, phase };
      const next = { ...record, reason: { ...why, at: context.at } };
      return { record: next, effects: [], events: [event], isDurable: true };
    }
    case 'blobs-verified':
      return phase === 'fetching' && incoming.manifest !== undefined
        ? enter(record, 'verified', context, {}, ['stage'])
        : unchanged(record);
    case 'staged':
      return phase === 'verified'
        ? enter(record, 'staged', context, { incoming: { ...incoming, isReady: true } }, ['switch'])
        : unchanged(record);
    case 'switch':
      return phase === 'staged' ? switchOrWait(record, incoming, context) : unchanged(record);
    case 'consent':
      return wished(
        record,
        { ...incoming, consent: input.by },
        {
          code: 'update.consented',
          message: `${input.by} agreed to ${labelOf(incoming.release)}`,
        },
      );
    case 'defer':
      return wished(
        record,
        { ...incoming, deferredUntil: input.until },
        {
          code: 'update.deferred',
          message: `${input.by} put ${labelOf(incoming.release)} off until ${isoTime(input.until)}`,
        },
      );
  }
}
