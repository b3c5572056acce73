/** What the socket's failures mean to the person at the terminal, and what to do about each. */

import { nearest } from '../../protocol/nearest.ts';
import type { Problem } from '../local-api/problems.ts';
import { CliError } from './errors.ts';

const NOT_RUNNING = [
  'Is the agent running? Start it, or look at its log to see why it ended',
  'What is wrong? "wherry doctor" says it; "wherry support-bundle" keeps it for others',
  'Does it listen elsewhere? Name its socket with --socket PATH or WHERRY_SOCKET',
];
const NO_PERMISSION = ['Run as root, or have root add you to the group "wherry" and sign in again'];

/** `isSocket` is false only when something else than a socket stands at the path. */
export function connectionError(path: string, error: NodeJS.ErrnoException, isSocket: boolean): CliError {
  const unreachable = (fault: string, hints: string[]) =>
    new CliError('agent-unreachable', `Cannot reach the agent at ${path}: ${fault}`, hints, error);
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return unreachable('there is no such socket', NOT_RUNNING);
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
      return isSocket
        ? unreachable('nobody listens on the socket', NOT_RUNNING)
        : unreachable('this is not a socket', NOT_RUNNING.slice(2));
    case 'EACCES':
    case 'EPERM':
      return unreachable('the socket is not open to you', NO_PERMISSION);
    case 'ETIMEDOUT':
      return unreachable('it takes the call but does not answer', ['Its log may say why; restart it']);
    case 'EAGAIN':
    case 'ECONNRESET':
    case 'EPIPE':
      return new CliError(
        'agent-busy',
        `Cannot ask the agent at ${path}: it cut the call off`,
        ['It has too many callers or is going down; try again'],
        error,
      );
    default:
      return error.code?.startsWith('HPE_')
        ? answerIsForeign(path, 'an answer that is not HTTP')
        : unreachable(error.message, NOT_RUNNING);
  }
}

export function answerIsForeign(path: string, what: string): CliError {
  return new CliError('not-an-agent', `Cannot use ${path}: it gave ${what}; wanted a Wherry agent`);
}

/** `what`: was being read. */
export function agentIsLost(what: string, cause: unknown): CliError {
  const message = `Cannot read on: the agent went away in the middle of the ${what}`;
  return new CliError('agent-lost', message, ['Its services run on without it; try again'], cause);
}

/** The agent's own refusal, with the name that was probably meant. */
export function problemError({ code, detail, services = [] }: Problem): CliError {
  const asked = /"([^"]*)"/.exec(detail)?.[1] ?? '';
  const near = code === 'unknown-service' ? nearest(asked, services) : undefined;
  return new CliError(code, detail, near ? [`Did you mean "${near}"?`] : []);
}
