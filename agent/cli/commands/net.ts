import type { Call, Command } from '../command.ts';
import { networkLines } from '../core/network.ts';
import { EXIT } from '../exit-codes.ts';

export const net: Command = {
  name: 'net',
  summary: 'segments, addresses, ports and what was dropped',
  description:
    'Shows the networks of the services as the kernel has them now: segments, where each service is and what passed, ' +
    'the rates that hold it, ports published on the host, and the counters of the rules between segments.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry net', what: 'look' },
    { command: `wherry net --json | jq '.rules.counters'`, what: 'what the rules counted' },
  ],
  run,
};

async function run({ io, paint, client, isJson, print, printJson, say }: Call): Promise<number> {
  const answer = await client.net();
  if (isJson) await printJson(answer);
  else if (answer.rules.state === 'none') await say('No service of this device is on a network segment');
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    const lines = networkLines(answer, columns);
    await print(lines.map(({ text, isHeading }) => (isHeading ? paint.dim(text) : text)));
  }
  return EXIT.ok;
}
