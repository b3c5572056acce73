import { isoTime } from '../../../protocol/instant.ts';
import { applied, assigned, refuseOffer } from './offers.ts';
import { agentWanted, labelOf, systemWanted, type UpdateRecord } from './record.ts';
import { resume } from './resume.ts';
import { healthSeen, rollBackByHand } from './soak.ts';
import {
  clip,
  enter,
  type Transition,
  UPDATE_RULES,
  type UpdateContext,
  type UpdateEffect,
  type UpdateInput,
  unchanged,
} from './transition.ts';
import { withoutDoomed } from './trial.ts';
import { look, switchOrWait, wished } from './waiting.ts';

/** The update machine: what an input does to the record, and what is to be done about it once that is durable. */
export function advance(record: UpdateRecord, input: UpdateInput, context: UpdateContext): Transition {
  const next = decide(record, input, context);
  // System and agent come before the services that run on them, and are settled before what they no longer need goes.
  const asksBelow = next.effects.some((effect) => effect === 'apply' || effect === 'collect');
  if (!asksBelow) return next;
  const below: UpdateEffect[] = [];
  if (context.system && systemWanted(next.record)) below.push('switch-system');
  if (agentWanted(next.record)) below.push('switch-agent');
  return { ...next, effects: [...below, ...next.effects] };
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
      const system = input.system === undefined ? undefined : { id: input.system };
      const { name } = incoming.release;
      const floors = { ...record.floors, [name]: Math.max(record.floors?.[name] ?? 0, standing?.floor ?? 0) };
      const checked = { ...incoming, manifest, soakMs, counter: standing?.counter, agent, system };
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
        ? enter(record, 'verified', context, withoutDoomed(record), ['stage'])
        : unchanged(record);
    case 'staged': {
      if (phase !== 'verified') return unchanged(record);
      const system = incoming.system && { ...incoming.system, slot: input.slot };
      const ready = { ...incoming, system, isReady: true as const };
      return enter(record, 'staged', context, { incoming: ready }, ['switch']);
    }
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
