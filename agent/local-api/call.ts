import type { AgentView } from './ports.ts';
import type { Answer } from './problems.ts';

export interface LocalRequest {
  method: string;
  /** Path and query as they came. */
  url: string;
  body: Buffer;
  /** Aborted when the caller goes. */
  signal: AbortSignal;
}

export interface LocalCall {
  view: AgentView;
  request: LocalRequest;
  query: URLSearchParams;
  /** What stands for `:name`. */
  name: string;
}

export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `:name` stands for a service's name, a channel's, a post-mortem's, a secret's or a lease holder's. */
  path: string;
  /** Largest body; `bodyBytes` of the limits when not given. */
  bodyBytes?: number;
  answer: (call: LocalCall) => Answer | Promise<Answer>;
}

export const json = (body: unknown, status = 200): Answer => ({ kind: 'json', status, body });
