/** Every refusal of the local API. Additive only; docs/cli.md lists them and a test keeps the two equal. */
export const PROBLEMS = {
  'no-such-route': { status: 404, title: 'There is nothing at this path' },
  'method-not-allowed': { status: 405, title: 'The path does not take this method' },
  'unknown-service': { status: 404, title: 'The agent knows no such service' },
  'not-running': { status: 409, title: 'The service does not run' },
  'exec-refused': { status: 409, title: 'The program is not run' },
  'upgrade-required': { status: 426, title: 'The path takes upgraded connections only' },
  'unknown-channel': { status: 404, title: 'The device has no such channel' },
  'unknown-postmortem': { status: 404, title: 'The agent keeps no such post-mortem' },
  'bad-secret': { status: 400, title: 'The secret cannot be kept' },
  'service-held': { status: 409, title: 'Somebody stopped the service by hand' },
  'no-bundle': { status: 500, title: 'The support bundle could not be made' },
  'no-update': { status: 409, title: 'No update is in a state in which that has a meaning' },
  'update-refused': { status: 409, title: 'The update does not allow that now' },
  'source-failed': { status: 502, title: 'What a release is read from cannot be read now' },
  'enrol-refused': { status: 409, title: 'The device may not enrol, or not with this join string' },
  'enrol-failed': { status: 502, title: 'The server that is to take the device in cannot be reached' },
  'bad-lease': { status: 400, title: 'The lease cannot be taken' },
  'bad-query': { status: 400, title: 'A query parameter cannot be read' },
  'bad-body': { status: 400, title: 'The request body cannot be read' },
  'body-too-large': { status: 413, title: 'The request body is too large' },
  internal: { status: 500, title: 'The agent failed to answer' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** application/problem+json (RFC 9457). `services` comes with unknown-service: the names there are. */
export interface Problem {
  status: number;
  title: string;
  detail: string;
  code: ProblemCode;
  services?: string[];
}

export type Answer =
  | { kind: 'json'; status: number; body: unknown }
  | { kind: 'lines'; lines: AsyncIterable<unknown> }
  | { kind: 'text'; pieces: AsyncIterable<Uint8Array> }
  | { kind: 'problem'; problem: Problem; allow?: string };

export function problem(code: ProblemCode, detail: string, services?: string[]): Answer {
  return { kind: 'problem', problem: { ...PROBLEMS[code], code, detail, ...(services && { services }) } };
}
