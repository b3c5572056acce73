import { formatBytes } from '../../../protocol/quantities.ts';
import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import type { ChannelMessage } from '../../local-api/ports.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { formOf, show } from '../core/message-line.ts';
import { countOf } from '../count-option.ts';
import { EXIT } from '../exit-codes.ts';
import { write } from '../io.ts';
import { timestamp } from '../timestamp.ts';

export const ipcTap: Command = {
  name: 'ipc tap',
  summary: 'messages of a channel as they come',
  description:
    'Prints the messages of a channel from now on: time, publisher, number, size and content, as text where it is ' +
    'text and as hex elsewhere. Only reads along: nobody on the channel notices. Of a channel that is faster than ' +
    'this some messages are passed over, and counted. With --json one document a line.',
  operands: ['channel'],
  options: {
    count: { type: 'string', value: 'N', help: 'end after N messages' },
    bytes: {
      type: 'string',
      value: 'N',
      help: `show at most N bytes of each (default: ${LOCAL_API_LIMITS.defaultTapBytes}; with --raw 1 MiB, the most)`,
    },
    hex: { type: 'boolean', help: 'show all of it as hex' },
    raw: { type: 'boolean', help: 'write the bytes of the messages and nothing else' },
  },
  examples: [
    { command: 'wherry ipc tap readings', what: 'read along' },
    { command: 'wherry ipc tap frames --raw --count 1 > frame.jpg', what: 'keep one' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { client, operands, options, isJson } = call;
  if (options['raw'] && (isJson || options['hex']))
    throw usage('Cannot read --raw: it excludes --json and --hex', ipcTap);
  const count = countOf(call, ipcTap);
  let shown = 0;
  for await (const message of client.messages(operands[0] ?? '', bytesOf(call))) {
    await tell(call, message);
    shown += 1;
    if (shown >= count) break;
  }
  return EXIT.ok;
}

async function tell(call: Call, message: ChannelMessage): Promise<void> {
  const { io, isJson, options, paint, print, say } = call;
  const data = Buffer.from(message.data, 'base64');
  if (isJson) return print([JSON.stringify(message)]);
  if (message.lost > 0) await say(`${message.lost} of ${message.publisher} passed over`);
  if (options['raw']) {
    await write(io.stdout, data);
    if (data.length < message.length)
      await say(`#${message.sequence} is cut: ${data.length} of ${message.length} bytes`);
    return;
  }
  const { at, publisher, sequence, type, length } = message;
  const about = `${publisher} #${sequence}, ${formatBytes(length)}${type === 0 ? '' : `, type ${type}`}:`;
  const content = show(data, options['hex'] ? 'hex' : formOf(data));
  return print([`${paint.dim(timestamp(at))} ${about} ${content}${data.length < length ? ' …' : ''}`]);
}

function bytesOf({ options }: Call): number {
  const text = options['bytes'];
  if (typeof text !== 'string')
    return options['raw'] ? LOCAL_API_LIMITS.tapBytes : LOCAL_API_LIMITS.defaultTapBytes;
  const bytes = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (bytes >= 1 && bytes <= LOCAL_API_LIMITS.tapBytes) return bytes;
  throw usage(
    `Cannot read --bytes ${text}: wanted a number of bytes from 1 to ${LOCAL_API_LIMITS.tapBytes}`,
    ipcTap,
  );
}
