import type { LastKnown } from '../diagnostics/last-known.ts';
import type { LogLine } from '../local-api/ports.ts';
import type { Call } from './command.ts';
import { formatDuration } from './core/duration.ts';
import { CliError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import { write } from './io.ts';
import { clockTime } from './timestamp.ts';

/**
 * Asks the agent; where it does not answer, `show` gives what is known without it and the command ends with 3 all the
 * same: what was shown may be old. With --json it is one document with `error` beside what `show` returns.
 */
export async function withoutAgent<T>(
  call: Call,
  ask: () => Promise<T>,
  show: (known: LastKnown) => Promise<Record<string, unknown>>,
): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!isDown(error)) throw error;
    const known = await knownOr(call, error);
    await complain(call, error);
    await call.say(`What follows is what was last known${ageOf(known, call.io.now())}`);
    const document = await show(known);
    const { code, message, hints } = error;
    if (call.isJson) await call.printJson({ error: { code, message, hints }, ...document });
    return undefined;
  }
}

/** The exit code of a command that went on without the agent. */
export const DOWN = EXIT.unreachable;

/** That agent lives, but not for this user, and neither is its state open to them. */
export const isClosed = ({ cause }: CliError): boolean =>
  ['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');

export const isDown = (error: unknown): error is CliError =>
  error instanceof CliError && error.code === 'agent-unreachable' && !isClosed(error);

/** In words, as the failure of any other command. */
export async function complain({ io }: Pick<Call, 'io'>, { message, hints }: CliError): Promise<void> {
  await write(io.stderr, [`wherry: ${message}`, ...hints.map((hint) => `  ${hint}`), ''].join('\n'));
}

/** Throws the agent's silence itself, with why nothing is known either. */
async function knownOr({ field, configFile, client, io }: Call, error: CliError): Promise<LastKnown> {
  let why: string;
  try {
    const known = await field.lastKnown(configFile, io.signal);
    if (known.socket === client.socketPath) return known;
    why = `${configFile} is of an agent at ${known.socket}; name the other's with --config`;
  } catch (cause) {
    why = cause instanceof Error ? cause.message : String(cause);
  }
  throw new CliError(
    error.code,
    error.message,
    [...error.hints, `Nothing is known without it: ${why}`],
    error.cause,
  );
}

function ageOf({ seenAt }: LastKnown, now: number): string {
  return seenAt === undefined ? '' : `, of ${clockTime(seenAt)} (${formatDuration(now - seenAt)} ago)`;
}

export interface ReadLines {
  lines: AsyncIterable<LogLine>;
  /** Once they are read: the agent did not answer. */
  cameFromDisk(): boolean;
}

/** A service's lines from the agent, or from the disk where it does not answer, which is then said. */
export function linesOrKept(
  call: Call,
  service: string,
  query: Parameters<Call['client']['logs']>[1],
): ReadLines {
  let fromDisk = false;
  const read = async function* (): AsyncGenerator<LogLine> {
    try {
      return yield* call.client.logs(service, query);
    } catch (error) {
      if (!isDown(error)) throw error;
      fromDisk = true;
      await knownOr(call, error);
      const { field, configFile, io } = call;
      const lines = await field.logs(configFile, service, { ...query, signal: io.signal });
      if (lines === undefined)
        throw new CliError(
          error.code,
          `${error.message}; and no log of "${service}" is kept`,
          error.hints,
          error.cause,
        );
      await complain(call, error);
      await call.say('What follows is read from the disk');
      yield* lines;
    }
  };
  return { lines: read(), cameFromDisk: () => fromDisk };
}
