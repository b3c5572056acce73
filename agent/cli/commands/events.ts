import type { LocalEvent } from '../../local-api/event-port.ts';
import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { hang, printable } from '../core/layout.ts';
import { EXIT } from '../exit-codes.ts';
import { SINCE, sinceOf } from '../since-option.ts';
import { clockTime } from '../timestamp.ts';

export const events: Command = {
  name: 'events',
  summary: 'what happened on this device; -f follows',
  description:
    'Prints what happened on this device, oldest first, from its own disk: exits, stops by hand, updates, leases, ' +
    'secrets, repairs, load that was shed. All that the server is told or was told; the oldest go first. With --json ' +
    'one document per line.',
  operands: [],
  options: {
    ...SINCE,
    service: { type: 'string', value: 'NAME', help: 'of this service only' },
    lines: {
      type: 'string',
      short: 'n',
      value: 'N',
      help: `the last N, 0 to ${LOCAL_API_LIMITS.events} (default: ${LOCAL_API_LIMITS.defaultEvents}, with --since all)`,
    },
    follow: { type: 'boolean', short: 'f', help: 'go on with what happens until Ctrl-C' },
  },
  examples: [
    { command: 'wherry events --since 24h', what: 'the last day' },
    { command: 'wherry events --service camera -f', what: 'look on while testing it' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { client, io, paint, options, isJson, print, say } = call;
  const since = sinceOf(call, events);
  const service = options['service'];
  const follow = options['follow'] === true;
  const limit = limitOf(options['lines'], since);
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  let count = 0;
  for await (const event of client.events({
    since,
    limit,
    follow,
    service: typeof service === 'string' ? service : undefined,
  })) {
    count++;
    if (isJson) await print([JSON.stringify(event)]);
    else {
      const heading = `${clockTime(event.at)}  `;
      const [first = '', ...rest] = hang(heading, text(event), columns);
      await print([paint.dim(heading) + first.slice(heading.length), ...rest]);
    }
  }
  if (count === 0 && !follow) await say('Nothing of that kind is on record');
  return EXIT.ok;
}

/** What it is of, what happened, and the code. */
function text({ kind, service, message, code }: LocalEvent): string {
  return `${service ?? kind}: ${printable(message)} [${code}]`;
}

function limitOf(given: string | boolean | undefined, since: number | undefined): number {
  if (given === undefined)
    return since === undefined ? LOCAL_API_LIMITS.defaultEvents : LOCAL_API_LIMITS.events;
  const count = /^\d{1,6}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (count <= LOCAL_API_LIMITS.events) return count;
  throw usage(
    `Cannot read -n ${given}: wanted a number of events from 0 to ${LOCAL_API_LIMITS.events}`,
    events,
  );
}
