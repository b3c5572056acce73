import type { LocalCall, Route } from './call.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type Answer, problem } from './problems.ts';
import { unknownService } from './unknown-service.ts';

export const LOG_ROUTES: Route[] = [{ method: 'GET', path: '/v1/services/:name/logs', answer: logs }];

function logs({ view, name: service, query, request }: LocalCall): Answer {
  const tail = query.get('tail') ?? String(LOCAL_API_LIMITS.defaultTailLines);
  if (!/^\d{1,6}$/.test(tail) || Number(tail) > LOCAL_API_LIMITS.tailLines) {
    return problem(
      'bad-query',
      `Cannot read tail=${tail}: wanted a number of lines from 0 to ${LOCAL_API_LIMITS.tailLines}`,
    );
  }
  const sinceMs = query.get('since') ?? '0';
  if (!/^\d{1,15}$/.test(sinceMs))
    return problem('bad-query', `Cannot read since=${sinceMs}: wanted Unix milliseconds`);
  const flags = [flag(query, 'follow'), flag(query, 'previous')];
  const bad = flags.find((value) => typeof value !== 'boolean');
  if (bad !== undefined) return bad as Answer;
  const [follow = false, previous = false] = flags as boolean[];
  if (follow && previous)
    return problem('bad-query', 'Cannot follow the previous run: it has ended; leave one of the two out');
  const lines = view.logs(service, {
    tail: Number(tail),
    follow,
    ...(sinceMs !== '0' && { sinceMs: Number(sinceMs) }),
    ...(previous && { previous }),
    signal: request.signal,
  });
  return lines ? { kind: 'lines', lines } : unknownService(view, service);
}

function flag(query: URLSearchParams, name: string): boolean | Answer {
  const value = query.get(name) ?? '0';
  if (value === '0' || value === '1') return value === '1';
  return problem('bad-query', `Cannot read ${name}=${value}: wanted 0 or 1`);
}
