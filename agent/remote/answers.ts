import type { Ask } from '../../protocol/remote.ts';
import type { RemoteAction } from '../../protocol/remote-actions.ts';
import { answerBundle, answerExec } from './answer-bytes.ts';
import { answerLogs } from './answer-logs.ts';
import { DONE, type End, type Question, unknownService } from './question.ts';

const REASONS = 8;

/** What is done for each action; resolves with how it ended. What it throws is told as `failed`. */
export const ANSWERS: Record<RemoteAction, (question: Question) => Promise<End>> = {
  logs: answerLogs,
  why: answerWhy,
  restart: answerRestart,
  reboot: ({ rebootSoon }) => {
    rebootSoon();
    return Promise.resolve(DONE);
  },
  bundle: answerBundle,
  exec: answerExec,
};

/** In the words of an event: what somebody was given or had done. */
export const DEEDS: Record<RemoteAction, (ask: Ask) => string> = {
  logs: ({ service, logs }) => `${logs?.follow ? 'follows' : 'reads'} the log of ${service}`,
  why: ({ service }) => `asks why ${service} is as it is`,
  restart: ({ service }) => `restarts ${service}`,
  reboot: () => 'reboots the device',
  bundle: () => 'takes a support bundle',
  exec: ({ service, exec }) => `runs in ${service}: ${exec?.argv.join(' ') ?? ''}`,
};

async function answerWhy({ ask: { service = '' }, view, reply }: Question): Promise<End> {
  const reasons = view.why(service);
  if (!reasons) return unknownService(service);
  const status = view.status().services.find(({ name }) => name === service);
  await reply.send({
    why: {
      service,
      ...(status && { state: status.state, since: status.since }),
      reasons: reasons.slice(0, REASONS),
    },
  });
  return DONE;
}

function answerRestart({ ask: { service = '' }, view, who }: Question): Promise<End> {
  const outcome = view.holds.restart(service, { who });
  if (outcome === 'unknown-service') return Promise.resolve(unknownService(service));
  // Somebody who stands before it has stopped it: that is not overruled from afar.
  return Promise.resolve('refused' in outcome ? { code: 'refused', message: outcome.refused } : DONE);
}
