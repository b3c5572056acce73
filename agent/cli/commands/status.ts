import type { Call, Command } from '../command.ts';
import { describeLastKnown } from '../core/last-known.ts';
import { hang, printable } from '../core/layout.ts';
import { describeStatus } from '../core/status.ts';
import { EXIT } from '../exit-codes.ts';
import { DOWN, withoutAgent } from '../without-agent.ts';

export const status: Command = {
  name: 'status',
  summary: 'what this device does, since when, waiting for what',
  description:
    'Shows device, agent, link, release, update, services, waits and resources in ten lines, then what the ' +
    'board tells of pressure, power, storage and boot, load that is shed, and faults of the agent. ' +
    'Ends with 0 whenever the agent answers, also when services are down. Without the agent it shows what was last ' +
    'known, and what of it still runs, and ends with 3.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry status', what: 'look' },
    { command: 'wherry status --json | jq .link.state', what: 'ask from a script' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { io, client, isJson, printJson } = call;
  const document = await withoutAgent(call, client.status, async (lastKnown) => {
    if (!isJson) await printFacts(call, describeLastKnown(lastKnown, io.now()));
    return { lastKnown };
  });
  if (document === undefined) return DOWN;
  if (isJson) await printJson(document);
  else await printFacts(call, describeStatus(document, io.now()));
  return EXIT.ok;
}

async function printFacts(
  { io, paint, print }: Call,
  facts: [heading: string, text: string][],
): Promise<void> {
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  const lines = facts.flatMap(([heading, text]) => {
    const label = heading.padEnd(10);
    return hang(label, printable(text), columns).map((line, index) =>
      index ? line : paint.dim(label) + line.slice(label.length),
    );
  });
  await print(lines);
}
