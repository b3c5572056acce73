import type { RestartAnswer, StartAnswer, StopAnswer } from './answers.ts';
import { json, type LocalCall, type Route } from './call.ts';
import type { HandRequest } from './hold-port.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type Answer, problem } from './problems.ts';
import { durationField, fieldsOf, isLine, nameField } from './request-body.ts';
import { unknownService } from './unknown-service.ts';

/** Services by hand. */
export const HOLD_ROUTES: Route[] = [
  { method: 'POST', path: '/v1/services/:name/stop', answer: stop },
  { method: 'POST', path: '/v1/services/:name/start', answer: start },
  { method: 'POST', path: '/v1/services/:name/restart', answer: restart },
];

function stop(call: LocalCall): Answer {
  const asked = requestIn(call, 'stop');
  if ('kind' in asked) return asked;
  const { view, name: service, request } = call;
  const isTimed = fieldsOf(request.body)?.['forMs'] !== undefined;
  const forMs = durationField(request.body, 'forMs');
  if (isTimed && forMs === undefined)
    return problem(
      'bad-body',
      `Cannot stop "${service}": the body's "forMs" is not a time; wanted whole milliseconds from 1 to ${LOCAL_API_LIMITS.holdMs}, which is 7 days`,
    );
  const answer = view.holds.stop(service, { ...asked, forMs });
  return answer === 'unknown-service'
    ? unknownService(view, service)
    : json(answer satisfies StopAnswer, 202);
}

function start(call: LocalCall): Answer {
  const asked = requestIn(call, 'start');
  if ('kind' in asked) return asked;
  const { view, name: service } = call;
  const answer = view.holds.start(service, asked);
  return answer === 'unknown-service'
    ? unknownService(view, service)
    : json(answer satisfies StartAnswer, 202);
}

function restart(call: LocalCall): Answer {
  const asked = requestIn(call, 'restart');
  if ('kind' in asked) return asked;
  const { view, name: service } = call;
  const answer = view.holds.restart(service, asked);
  if (answer === 'unknown-service') return unknownService(view, service);
  return 'refused' in answer
    ? problem('service-held', answer.refused)
    : json(answer satisfies RestartAnswer, 202);
}

function requestIn({ name: service, request: { body } }: LocalCall, act: string): HandRequest | Answer {
  const who = nameField(body, 'by');
  const fields = fieldsOf(body) ?? {};
  const known = act === 'stop' ? ['by', 'why', 'forMs'] : ['by', 'why'];
  const unknown = Object.keys(fields).find((field) => !known.includes(field));
  if (unknown !== undefined)
    return problem(
      'bad-body',
      `Cannot ${act} "${service}": the body's "${unknown}" is not a known field; known: ${known.join(', ')}`,
    );
  const { why } = fields;
  if (who === undefined)
    return problem(
      'bad-body',
      `Cannot ${act} "${service}": the body is not {"by": "<name>"}; ` +
        `wanted a name of 1 to ${LOCAL_API_LIMITS.whoCharacters} printable characters, or no body`,
    );
  if (why === undefined) return { who };
  if (typeof why === 'string' && isLine(why)) return { who, why };
  return problem(
    'bad-body',
    `Cannot ${act} "${service}": the body's "why" is not one line of 1 to ${LOCAL_API_LIMITS.whyCharacters} characters`,
  );
}
