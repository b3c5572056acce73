import type { Route } from './call.ts';
import { UPGRADE } from './exec-frames.ts';
import { problem } from './problems.ts';

export const EXEC_PATH = '/v1/services/:name/exec';

/** What comes here as a plain request: who asks for the upgrade is served by exec-connection.ts. */
export const EXEC_ROUTES: Route[] = [
  {
    method: 'GET',
    path: EXEC_PATH,
    answer: () =>
      problem('upgrade-required', `Cannot run anything by a plain request: wanted "Upgrade: ${UPGRADE}"`),
  },
];
