import { parseJoinString } from '../../protocol/enrolment.ts';
import { json, type LocalCall, type Route } from './call.ts';
import type { EnrolAnswer } from './enrol-port.ts';
import { type Answer, problem } from './problems.ts';
import { fieldsOf, nameField } from './request-body.ts';

export const ENROL_ROUTES: Route[] = [{ method: 'POST', path: '/v1/enrol', answer: enrol }];

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?$/;

/** No answer repeats the join string: it holds a secret. */
async function enrol({ view, request }: LocalCall): Promise<Answer> {
  const by = nameField(request.body, 'by');
  const { join, name } = fieldsOf(request.body) ?? {};
  if (by === undefined || typeof join !== 'string' || parseJoinString(join) === undefined)
    return problem(
      'bad-body',
      'Cannot enrol: the join string cannot be read; wanted wherry://host:port#ca=sha256:<hex>&t=<token>',
    );
  if (name !== undefined && !(typeof name === 'string' && NAME.test(name)))
    return problem(
      'bad-body',
      'Cannot enrol: the name is not usable; wanted lower-case letters, digits and "-", at most 54',
    );
  const answer = await view.enrolment.enrol({ join, by, ...(name !== undefined && { name }) });
  return 'refused' in answer ? problem(answer.code, answer.refused) : json(answer satisfies EnrolAnswer);
}
