import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { printable } from '../core/layout.ts';
import { mergeByTime, type ServiceLine } from '../core/merge-logs.ts';
import { compilePattern, type Pattern } from '../core/pattern.ts';
import { EXIT } from '../exit-codes.ts';
import { advance, followedLog, type LogPosition } from '../followed-log.ts';
import { sinceTime } from '../since.ts';
import { timestamp } from '../timestamp.ts';
import { DOWN, isDown, linesOrKept } from '../without-agent.ts';

export const logs: Command = {
  name: 'logs',
  summary: 'what services wrote; -f follows',
  description:
    'Prints what services wrote, oldest first, each line with its time in UTC; of several services by time, each ' +
    'line with its service. On a terminal the lines of stderr are coloured and control characters are left out. ' +
    'With --json one document per line. Following goes on when a service or the agent starts again. Without the ' +
    'agent it reads what is on the disk, and ends with 3.',
  operands: ['service...'],
  options: {
    follow: { type: 'boolean', short: 'f', help: 'go on with new lines until Ctrl-C' },
    lines: {
      type: 'string',
      short: 'n',
      value: 'N',
      help: `the last N lines of each, 0 to ${LOCAL_API_LIMITS.tailLines} (default: ${LOCAL_API_LIMITS.defaultTailLines})`,
    },
    since: { type: 'string', value: 'TIME', help: 'from then on: 10m, 2h, 2026-11-21T09:50 (UTC)' },
    grep: {
      type: 'string',
      value: 'PATTERN',
      help: 'lines with it only: a|b ( ) [a-z] . ^ $ * + ? \\d \\w \\s',
    },
    previous: { type: 'boolean', help: 'of the run before the last one' },
  },
  examples: [
    { command: 'wherry logs sensor', what: 'the last lines' },
    { command: 'wherry logs sensor -f -n 0', what: 'only what comes from now on' },
    { command: 'wherry logs web db --since 10m', what: 'two services, side by side' },
    { command: 'wherry logs web --previous', what: 'what it said before it started again' },
  ],
  run,
};

interface Wanted {
  tail: number;
  sinceMs: number | undefined;
  pattern: Pattern | undefined;
  previous: boolean;
  follow: boolean;
}

async function run(call: Call): Promise<number> {
  const services = [...new Set(call.operands)];
  const wanted = wantedOf(call);
  const show = printer(call, services);
  try {
    await fromAgent(call, services, wanted, show);
    return EXIT.ok;
  } catch (error) {
    // Before anything was shown: one that is followed is waited for.
    if (!isDown(error)) throw error;
  }
  const shown = services.map((service) => fromDisk(call, service, wanted, show));
  return (await Promise.all(shown)).some((isOld) => isOld) ? DOWN : EXIT.ok;
}

type Show = (line: ServiceLine) => Promise<void>;

/** Whether the agent did not answer this time either. */
async function fromDisk(call: Call, service: string, wanted: Wanted, show: Show): Promise<boolean> {
  const { pattern, follow, tail } = wanted;
  const { lines, cameFromDisk } = linesOrKept(call, service, { ...query(wanted, tail), follow });
  for await (const line of lines)
    if (!pattern || pattern.matches(line.text)) await show({ service, ...line });
  return cameFromDisk();
}

async function fromAgent(call: Call, services: string[], wanted: Wanted, show: Show): Promise<void> {
  if (services.length === 1 && !wanted.follow && wanted.pattern === undefined) {
    const [service = ''] = services;
    for await (const line of call.client.logs(service, query(wanted, wanted.tail)))
      await show({ service, ...line });
    return;
  }
  const read = await Promise.all(services.map((service) => history(call, service, wanted)));
  for (const line of mergeByTime(read.map(({ lines }) => lines))) await show(line);
  if (wanted.follow) await followAll(call, services, wanted, read, show);
}

function printer({ isJson, print, io, paint }: Call, services: string[]): Show {
  const width = Math.max(...services.map((service) => service.length));
  return ({ service, at, stream, text }) => {
    if (isJson) return print([JSON.stringify({ service, at, stream, text })]);
    const shown = io.isTTY ? printable(text) : text;
    const name = services.length > 1 ? `${paint.bold(service.padEnd(width))}  ` : '';
    return print([`${paint.dim(timestamp(at))} ${name}${stream === 'stderr' ? paint.warn(shown) : shown}`]);
  };
}

interface History {
  lines: ServiceLine[];
  /** Behind the last line, whether it was wanted or not. */
  position: LogPosition | undefined;
}

/** The last lines that are wanted. All are read where that is not known before, or where it is to be gone on from. */
async function history({ client }: Call, service: string, wanted: Wanted): Promise<History> {
  const { pattern, follow, tail } = wanted;
  const count = pattern || follow ? LOCAL_API_LIMITS.tailLines : tail;
  let lines: ServiceLine[] = [];
  let position: LogPosition | undefined;
  for await (const line of client.logs(service, query(wanted, count))) {
    position = advance(position, line);
    if (!pattern || pattern.matches(line.text)) lines.push({ service, ...line });
  }
  lines = tail === 0 ? [] : lines.slice(-tail);
  return { lines, position };
}

/** Each at its own pace, in the order in which lines come. The first that fails ends all. */
async function followAll(
  call: Call,
  services: string[],
  { pattern, sinceMs }: Wanted,
  read: History[],
  show: Show,
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([call.io.signal, failed.signal]);
  let isAway = false;
  const onAway = async (): Promise<void> => {
    if (!isAway) await call.say('The agent is away; its services run on. Waiting for it, Ctrl-C ends');
    isAway = true;
  };
  const follow = async (service: string, index: number): Promise<void> => {
    const from = read[index]?.position ?? (sinceMs === undefined ? undefined : { at: sinceMs, seen: 0 });
    for await (const line of followedLog({ client: call.client, service, from, signal, onAway })) {
      isAway = false;
      if (!pattern || pattern.matches(line.text)) await show({ service, ...line });
    }
  };
  try {
    await Promise.all(services.map(follow));
  } finally {
    failed.abort();
  }
}

const query = ({ sinceMs, previous }: Wanted, tail: number) => ({
  tail,
  follow: false,
  ...(sinceMs !== undefined && { sinceMs }),
  ...(previous && { previous }),
});

function wantedOf({ options, io }: Call): Wanted {
  const [follow, previous] = [options['follow'] === true, options['previous'] === true];
  if (follow && previous) throw usage('Cannot follow the previous run: it has ended; leave -f out', logs);
  const sinceMs = sinceOf(options['since'], io.now());
  return {
    tail: tailOf(options['lines'], sinceMs),
    sinceMs,
    pattern: patternOf(options['grep']),
    follow,
    previous,
  };
}

function sinceOf(given: string | boolean | undefined, now: number): number | undefined {
  if (typeof given !== 'string') return undefined;
  const at = sinceTime(given, now);
  if (at !== undefined) return at;
  throw usage(`Cannot read --since ${given}: wanted a time like 10m, 2h or 2026-11-21T09:50`, logs);
}

function patternOf(given: string | boolean | undefined): Pattern | undefined {
  if (typeof given !== 'string') return undefined;
  const pattern = compilePattern(given);
  if (typeof pattern !== 'string') return pattern;
  throw usage(`Cannot read --grep ${given}: ${pattern}`, logs);
}

/** All since a time, unless so many are asked for. */
function tailOf(given: string | boolean | undefined, sinceMs: number | undefined): number {
  if (given === undefined)
    return sinceMs === undefined ? LOCAL_API_LIMITS.defaultTailLines : LOCAL_API_LIMITS.tailLines;
  const count = /^\d{1,6}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (count <= LOCAL_API_LIMITS.tailLines) return count;
  throw usage(
    `Cannot read -n ${given}: wanted a number of lines from 0 to ${LOCAL_API_LIMITS.tailLines}`,
    logs,
  );
}
