import type { LeaseAnswer, LeasesAnswer, UpdateAnswer, UpdateHistoryAnswer } from './answers.ts';
import { json, type LocalCall, type Route } from './call.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import type { WishOutcome } from './ports.ts';
import { type Answer, problem } from './problems.ts';
import { durationField, fieldsOf, isLine, isName, nameField } from './request-body.ts';

/** Updates and leases by hand. */
export const UPDATE_ROUTES: Route[] = [
  {
    method: 'GET',
    path: '/v1/update',
    answer: ({ view }) => json(view.updates.outlook() satisfies UpdateAnswer),
  },
  { method: 'GET', path: '/v1/update/history', answer: history },
  { method: 'POST', path: '/v1/update/apply', answer: apply },
  { method: 'POST', path: '/v1/update/consent', answer: consent },
  { method: 'POST', path: '/v1/update/defer', answer: defer },
  { method: 'POST', path: '/v1/update/rollback', answer: rollBack },
  { method: 'GET', path: '/v1/leases', answer: leases },
  { method: 'PUT', path: '/v1/leases/:name', answer: takeLease },
  { method: 'DELETE', path: '/v1/leases/:name', answer: releaseLease },
];

function history({ view }: LocalCall): Answer {
  return json({ events: view.updates.history() } satisfies UpdateHistoryAnswer);
}

async function apply({ view, request }: LocalCall): Promise<Answer> {
  const by = nameField(request.body, 'by');
  if (by === undefined) return badBy('apply it');
  const folder = fieldsOf(request.body)?.['folder'];
  if (typeof folder !== 'string' || !folder.startsWith('/') || folder.includes('\0'))
    return problem('bad-body', `Cannot apply it: the body's "folder" is not an absolute path`);
  return outcome(await view.updates.apply(folder, by));
}

function consent({ view, request }: LocalCall): Answer {
  const by = nameField(request.body, 'by');
  return by === undefined ? badBy('agree') : outcome(view.updates.consent(by));
}

function rollBack({ view, request }: LocalCall): Answer {
  const by = nameField(request.body, 'by');
  return by === undefined ? badBy('roll back') : outcome(view.updates.rollBack(by));
}

function defer({ view, request }: LocalCall): Answer {
  const by = nameField(request.body, 'by');
  if (by === undefined) return badBy('put the update off');
  const forMs = durationField(request.body, 'forMs');
  if (forMs === undefined) return badDuration('put the update off');
  return outcome(view.updates.defer(forMs, by));
}

const outcome = (wish: WishOutcome): Answer =>
  'refused' in wish ? problem(wish.code, wish.refused) : json(wish, 202);

function leases({ view }: LocalCall): Answer {
  return json({ leases: view.leases.list() } satisfies LeasesAnswer);
}

async function takeLease({ view, name: holder, request }: LocalCall): Promise<Answer> {
  const forMs = durationField(request.body, 'forMs');
  if (forMs === undefined) return badDuration('take the lease');
  const why = fieldsOf(request.body)?.['why'];
  if (!isName(holder)) return badHolder();
  if (typeof why !== 'string' || !isLine(why))
    return problem(
      'bad-body',
      `Cannot take the lease: why is missing; wanted one line of 1 to ${LOCAL_API_LIMITS.whyCharacters} characters`,
    );
  const answer = await view.leases.take({ holder, why, forMs });
  return 'refused' in answer ? problem('bad-lease', answer.refused) : json(answer satisfies LeaseAnswer);
}

async function releaseLease({ view, name: holder }: LocalCall): Promise<Answer> {
  if (!isName(holder)) return badHolder();
  return json((await view.leases.release(holder)) satisfies LeaseAnswer);
}

const badHolder = (): Answer =>
  problem(
    'bad-lease',
    `Cannot use the holder: wanted a name of 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters`,
  );

const badBy = (act: string): Answer =>
  problem(
    'bad-body',
    `Cannot ${act}: the body's "by" is not a name; ` +
      `wanted 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters, or none`,
  );

const badDuration = (act: string): Answer =>
  problem(
    'bad-body',
    `Cannot ${act}: the body's "forMs" is not a time; wanted whole milliseconds from 1 to ${LOCAL_API_LIMITS.holdMs}, which is 7 days`,
  );
