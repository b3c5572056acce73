import type { Call, Command } from '../command.ts';
import { hang, printable } from '../core/layout.ts';
import { describeStatus } from '../core/status.ts';
import { EXIT } from '../exit-codes.ts';

export const status: Command = {
  name: 'status',
  summary: 'what this device does, since when, waiting for what',
  description:
    'Shows device, agent, link, release, update, services, waits and resources in ten lines, then what the ' +
    'board tells of pressure, power, storage and boot, load that is shed, and faults of the agent. ' +
    'Ends with 0 whenever the agent answers, also when services are down.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry status', what: 'look' },
    { command: 'wherry status --json | jq .link.state', what: 'ask from a script' },
  ],
  run,
};

async function run({ io, paint, client, isJson, print, printJson }: Call): Promise<number> {
  const document = await client.status();
  if (isJson) await printJson(document);
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    const lines = describeStatus(document, io.now()).flatMap(([heading, text]) => {
      const label = heading.padEnd(10);
      return hang(label, printable(text), columns).map((line, index) =>
        index ? line : paint.dim(label) + line.slice(label.length),
      );
    });
    await print(lines);
  }
  return EXIT.ok;
}
