import { setTimeout as pause } from 'node:timers/promises';
import { parseDurationMs } from '../../../protocol/quantities.ts';
import type { ChannelsAnswer } from '../../local-api/answers.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { channelTable, type PeerRate, ratesOf, rateTable } from '../core/channels.ts';
import { countOf } from '../count-option.ts';
import { EXIT } from '../exit-codes.ts';
import { write } from '../io.ts';
import { canMove } from '../paint.ts';

export const ipcList: Command = {
  name: 'ipc ls',
  summary: 'shared-memory channels and who is on them',
  description:
    'Lists the shared-memory channels of the release in force: mode, ring, memory, publishers and subscribers.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry ipc ls', what: 'look' }],
  run: list,
};

export const ipcTop: Command = {
  name: 'ipc top',
  summary: 'messages and bytes a second of every channel',
  description:
    'Shows what every service on a channel publishes and receives, how far behind it is and what was lost, again and ' +
    'again until Ctrl-C. With --json one document each time.',
  operands: [],
  options: {
    interval: { type: 'string', value: 'TIME', help: 'from one look to the next, 100ms to 1h (default: 2s)' },
    count: { type: 'string', value: 'N', help: 'end after N times' },
  },
  examples: [
    { command: 'wherry ipc top', what: 'look on' },
    { command: 'wherry ipc top --count 1 --json', what: 'the rates of the next two seconds, for a script' },
  ],
  run: top,
};

async function list({ client, isJson, paint, print, printJson, say }: Call): Promise<number> {
  const answer = await client.channels();
  if (isJson) await printJson(answer);
  else if (answer.channels.length === 0) await say('The release in force has no channels');
  else {
    const [heading = '', ...rows] = channelTable(answer.channels);
    await print([paint.dim(heading), ...rows]);
  }
  return EXIT.ok;
}

const INTERVAL_MS = { least: 100, most: 3_600_000, usual: 2_000 };
/** Erases a terminal and goes to its upper left corner (ECMA-48 ED, CUP). */
const CLEAR = '\u001b[2J\u001b[H';

async function top(call: Call): Promise<number> {
  const { client, io, isJson, say } = call;
  const [intervalMs, count] = [intervalOf(call), countOf(call, ipcTop)];
  let before = await client.channels();
  if (before.channels.length === 0 && !isJson) await say('The release in force has no channels');
  for (let shown = 0; shown < count; shown++) {
    await pause(intervalMs, undefined, { signal: io.signal }).catch(() => undefined);
    if (io.signal.aborted) break;
    const now = await client.channels();
    await showRates(call, before, now);
    before = now;
  }
  return EXIT.ok;
}

async function showRates(
  { io, paint, isJson, print }: Call,
  before: ChannelsAnswer,
  now: ChannelsAnswer,
): Promise<void> {
  const seconds = (now.at - before.at) / 1000;
  const rates: PeerRate[] = ratesOf(before.channels, now.channels, seconds);
  if (isJson) return print([JSON.stringify({ at: now.at, seconds, rates })]);
  const [heading = '', ...rows] = rateTable(rates);
  if (canMove(io)) await write(io.stdout, CLEAR);
  return print([paint.dim(heading), ...rows]);
}

function intervalOf({ options }: Call): number {
  const text = options['interval'];
  if (typeof text !== 'string') return INTERVAL_MS.usual;
  const ms = parseDurationMs(text) ?? 0;
  if (ms >= INTERVAL_MS.least && ms <= INTERVAL_MS.most) return ms;
  throw usage(`Cannot read --interval ${text}: wanted a time from 100ms to 1h`, ipcTop);
}
