import type { ExecRequest, ExecSession } from '../supervisor/session-port.ts';

export type { ExecRequest, ExecSession };

/** Why a program is not run, in one sentence. */
export interface ExecRefused {
  refused: string;
  /** `not-running`: the service does not run now; `exec-refused`: it is never had, or not by so many at once. */
  code: 'unknown-service' | 'not-running' | 'exec-refused';
}

/** Programs that people run in the containers of services. */
export interface ExecDesk {
  /** Records who runs what before it begins. The caller closes the session, however it ends. */
  open(service: string, request: ExecRequest, who: string): Promise<ExecSession | ExecRefused>;
}
