import { json, type LocalCall, type Route } from './call.ts';
import type { UpdateCheckAnswer } from './plan-port.ts';
import { type Answer, problem } from './problems.ts';
import { fieldsOf } from './request-body.ts';

/** What updates would do. POST: both ask elsewhere, and may take a while. */
export const PLAN_ROUTES: Route[] = [
  { method: 'POST', path: '/v1/update/check', answer: check },
  { method: 'POST', path: '/v1/plan', answer: plan },
];

async function check({ view }: LocalCall): Promise<Answer> {
  return json((await view.plans.check()) satisfies UpdateCheckAnswer);
}

async function plan({ view, request }: LocalCall): Promise<Answer> {
  const fields = fieldsOf(request.body);
  const folder = fields?.['folder'];
  const isPath = typeof folder === 'string' && folder.startsWith('/') && !folder.includes('\0');
  if (fields === undefined || (folder !== undefined && !isPath))
    return problem('bad-body', `Cannot plan it: the body's "folder" is not an absolute path`);
  const planned = await view.plans.plan(isPath ? folder : undefined, request.signal);
  return 'refused' in planned ? problem(planned.code, planned.refused) : json(planned);
}
