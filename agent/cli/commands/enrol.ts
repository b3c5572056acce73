import { parseJoinString } from '../../../protocol/enrolment.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { BY, byOf } from '../hold-options.ts';

export const enrol: Command = {
  name: 'enrol',
  summary: 'take this device into a fleet',
  description:
    'Trades the join string that the server printed for an identity of this device. The server must show the ' +
    'certificate that the join string pins before it is told anything. The join string is a secret: with "-", or ' +
    'with no argument, it is read from standard input and shows in no list of processes. A device that is in a ' +
    'fleet already is left as it is.',
  operands: ['join?'],
  options: {
    name: { type: 'string', value: 'NAME', help: 'device id wished for; default: of the configuration' },
    ...BY,
  },
  examples: [
    { command: 'wherry enrol < join.txt', what: 'from a file' },
    { command: 'wherry enrol - --name boathouse-1', what: 'pasted, then Ctrl-D' },
  ],
  run,
};

/** A join string is far shorter. */
const MOST_BYTES = 1024;

async function run(call: Call): Promise<number> {
  const { client, options, isJson, print, printJson, say } = call;
  const { name } = options;
  const join = await joinOf(call);
  if (parseJoinString(join) === undefined)
    throw usage(
      'Cannot enrol: the join string cannot be read; wanted wherry://host:port#ca=sha256:<hex>&t=<token>',
      enrol,
    );
  const answer = await client.enrol({
    join,
    by: byOf(call, enrol),
    ...(typeof name === 'string' && { name }),
  });
  if (isJson) await printJson(answer);
  else await print([`${answer.device}: enrolled at ${answer.server}`]);
  await say('See that the link comes up: wherry status');
  return EXIT.ok;
}

async function joinOf({ io, operands }: Call): Promise<string> {
  const [given] = operands;
  if (given !== undefined && given !== '-') return given;
  if (given === undefined && io.stdin.isTTY)
    throw usage('Cannot enrol: the join string is missing; pipe it in, or give "-" and type it', enrol);
  let text = '';
  for await (const part of io.stdin as AsyncIterable<Uint8Array | string>) {
    text += typeof part === 'string' ? part : Buffer.from(part).toString('utf8');
    if (text.length > MOST_BYTES) break;
  }
  return text.trim();
}
