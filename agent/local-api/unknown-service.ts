import type { AgentView } from './ports.ts';
import { type Answer, problem } from './problems.ts';

/** With the names there are: whoever asked may have misspelt one. */
export function unknownService(view: Pick<AgentView, 'status'>, service: string): Answer {
  const names = view.status().services.map(({ name }) => name);
  const known = names.length ? `its services are ${names.join(', ')}` : 'it has no services yet';
  return problem(
    'unknown-service',
    `Cannot find service "${service}": the agent does not know it; ${known}`,
    names,
  );
}
