import type { NetAnswer } from './answers.ts';
import { json, type LocalCall, type Route } from './call.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type Answer, problem } from './problems.ts';

export const EVENT_ROUTES: Route[] = [
  { method: 'GET', path: '/v1/events', answer: events },
  {
    method: 'GET',
    path: '/v1/net',
    answer: async ({ view }) => json((await view.net.look()) satisfies NetAnswer),
  },
];

function events({ view, query, request }: LocalCall): Answer {
  const limit = query.get('limit') ?? String(LOCAL_API_LIMITS.defaultEvents);
  if (!/^\d{1,6}$/.test(limit) || Number(limit) > LOCAL_API_LIMITS.events)
    return problem(
      'bad-query',
      `Cannot read limit=${limit}: wanted a number of events from 0 to ${LOCAL_API_LIMITS.events}`,
    );
  const since = query.get('since') ?? '0';
  if (!/^\d{1,15}$/.test(since))
    return problem('bad-query', `Cannot read since=${since}: wanted Unix milliseconds`);
  const follow = query.get('follow') ?? '0';
  if (follow !== '0' && follow !== '1')
    return problem('bad-query', `Cannot read follow=${follow}: wanted 0 or 1`);
  const service = query.get('service') ?? undefined;
  const { signal } = request;
  const wanted = { since: Number(since), service, limit: Number(limit), follow: follow === '1', signal };
  return { kind: 'lines', lines: view.events.recent(wanted) };
}
