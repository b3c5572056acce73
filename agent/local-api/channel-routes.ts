import type { ChannelsAnswer } from './answers.ts';
import { json, type LocalCall, type Route } from './call.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type Answer, problem } from './problems.ts';

export const CHANNEL_ROUTES: Route[] = [
  { method: 'GET', path: '/v1/channels', answer: list },
  { method: 'GET', path: '/v1/channels/:name/messages', answer: messages },
];

function list({ view }: LocalCall): Answer {
  return json(view.channels.list() satisfies ChannelsAnswer);
}

function messages({ view, name, query, request }: LocalCall): Answer {
  const bytes = query.get('bytes') ?? String(LOCAL_API_LIMITS.defaultTapBytes);
  if (!/^\d{1,7}$/.test(bytes) || Number(bytes) < 1 || Number(bytes) > LOCAL_API_LIMITS.tapBytes) {
    return problem(
      'bad-query',
      `Cannot read bytes=${bytes}: wanted a number of bytes from 1 to ${LOCAL_API_LIMITS.tapBytes}`,
    );
  }
  const lines = view.channels.tap(name, { maxBytes: Number(bytes), signal: request.signal });
  if (lines !== undefined) return { kind: 'lines', lines };
  const names = view.channels.list().channels.map((channel) => channel.name);
  const known = names.length ? `its channels are ${names.join(', ')}` : 'it has none';
  return problem(
    'unknown-channel',
    `Cannot find channel "${name}": this device has none of that name; ${known}`,
  );
}
