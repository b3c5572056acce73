import type { UpdatePhase } from '../../../../protocol/messages.ts';
import type { Reason } from '../../../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../../../protocol/update-policy.ts';
import type { Attempt, Release } from '../../../rest/api.ts';
import { type MockDevice, record } from './device.ts';
import { uuid } from './ids.ts';

const TOTAL_BYTES = 19_300_000;
const REUSED_BYTES = 78_200_000;
const BYTES_PER_TICK = 1_100_000;
/** Ticks an attempt stays in a state that has no bytes to count. */
const STAGE_MS = 2_500;

/** Refuses on arrival: its copy of the trusted root is another one. */
const REFUSING = 'gauge-04';

export function newAttempt(device: MockDevice, release: Release, generation: number, now: number): Attempt {
  return {
    id: uuid(`attempt ${device.detail.id} ${release.id} ${generation} ${now}`),
    device: device.detail.id,
    state: 'queued',
    generation,
    progress: null,
    reason: null,
    updatedAt: now,
  };
}

/** The attempt one tick later; the device's own report follows it. */
export function advance(
  attempt: Attempt,
  device: MockDevice,
  { release, policy, now }: { release: Release; policy: UpdatePolicy; now: number },
): Attempt {
  if (!device.detail.isOnline) return attempt;
  const next = nextAttempt(attempt, policy, now);
  if (next !== attempt) tell(device, release, next, now);
  return next;
}

function nextAttempt(attempt: Attempt, policy: UpdatePolicy, now: number): Attempt {
  const isDue = now - attempt.updatedAt >= STAGE_MS;
  switch (attempt.state) {
    case 'queued':
      return { ...attempt, state: 'offered', updatedAt: now };
    case 'offered':
      if (!isDue) return attempt;
      if (attempt.device === REFUSING) return refused(attempt, now);
      return {
        ...attempt,
        state: 'downloading',
        progress: { doneBytes: 0, totalBytes: TOTAL_BYTES, reusedBytes: REUSED_BYTES },
        updatedAt: now,
      };
    case 'downloading': {
      const speed =
        BYTES_PER_TICK * (0.55 + (attempt.device.charCodeAt(attempt.device.length - 1) % 4) * 0.2);
      const doneBytes = Math.min(TOTAL_BYTES, Math.round((attempt.progress?.doneBytes ?? 0) + speed));
      const isDone = doneBytes === TOTAL_BYTES;
      if (isDone && policy.windows && !policy.urgent) return waiting(attempt, now);
      return {
        ...attempt,
        state: isDone ? 'installing' : 'downloading',
        progress: { doneBytes, totalBytes: TOTAL_BYTES, reusedBytes: REUSED_BYTES },
        updatedAt: now,
      };
    }
    case 'waiting':
      return policy.urgent ? { ...attempt, state: 'installing', reason: null, updatedAt: now } : attempt;
    case 'installing':
      return isDue ? { ...attempt, state: 'soaking', updatedAt: now } : attempt;
    case 'soaking':
      return isDue ? { ...attempt, state: 'committed', updatedAt: now } : attempt;
    default:
      return attempt;
  }
}

/** For the next Sunday at two. */
export function windowReason(now: number) {
  const opens = new Date(now);
  opens.setUTCDate(opens.getUTCDate() + (7 - opens.getUTCDay()));
  opens.setUTCHours(2, 0, 0, 0);
  const message = `Waits for the update window of ${opens.toISOString().slice(0, 19)}Z`;
  return { code: 'wait.window', message, at: now } as const;
}

function waiting(attempt: Attempt, now: number): Attempt {
  return {
    ...attempt,
    state: 'waiting',
    progress: { doneBytes: TOTAL_BYTES, totalBytes: TOTAL_BYTES, reusedBytes: REUSED_BYTES },
    reason: windowReason(now),
    updatedAt: now,
  };
}

function refused(attempt: Attempt, now: number): Attempt {
  const reason = {
    code: 'refused.metadata-signature',
    message:
      'Cannot accept targets.json version 9: 1 of 2 signatures is by a key this device trusts, 2 are needed',
    at: now,
  } as const;
  return { ...attempt, state: 'rejected', reason, updatedAt: now };
}

const PHASES: Partial<Record<Attempt['state'], UpdatePhase>> = {
  downloading: 'fetching',
  waiting: 'waiting',
  installing: 'switching',
  soaking: 'soaking',
  committed: 'committed',
  rejected: 'refused',
};

function tell({ detail, ...device }: MockDevice, release: Release, attempt: Attempt, now: number): void {
  const phase = PHASES[attempt.state];
  if (!phase || !detail.report) return;
  const { name, version, manifestSha256: manifest } = release;
  const since = detail.updatePhase === phase ? detail.report.update.since : now;
  const reason = attempt.reason as Reason | null;
  detail.updatePhase = phase;
  detail.updateReason = reason;
  detail.report.update = {
    phase,
    since,
    release: { name, version, manifest, generation: attempt.generation },
    ...(attempt.progress ? { progress: attempt.progress } : {}),
    ...(reason ? { reason } : {}),
  };
  if (reason) {
    record({ detail, ...device }, now, {
      kind: 'update',
      code: reason.code,
      release: `${name} ${version}`,
      message: reason.message,
    });
  }
}
