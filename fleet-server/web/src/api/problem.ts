import type { Problem } from './types.ts';

/** A refusal by the server (problem+json), or `code` "network" with status 0 when none answered. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;

  constructor(problem: Pick<Problem, 'status' | 'code' | 'title' | 'detail'>, options?: ErrorOptions) {
    super(problem.detail ?? problem.title, options);
    this.name = 'ProblemError';
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
  }
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof ProblemError && error.status === 401;
}

/** What a proxy in between answers need not be problem+json. */
export function toProblem(status: number, body: unknown): ProblemError {
  const fields: Partial<Problem> = typeof body === 'object' && body !== null ? body : {};
  return new ProblemError({
    status,
    code: fields.code ?? `http-${status}`,
    title: fields.title ?? 'The server refused the request',
    detail: fields.detail ?? fields.title ?? `The server answered with status ${status}`,
  });
}
