import type { Call, Command } from '../command.ts';
import { describeInspection } from '../core/inspection.ts';
import { hang, layOutTable, printable } from '../core/layout.ts';
import { EXIT } from '../exit-codes.ts';

export const inspect: Command = {
  name: 'inspect',
  summary: 'a service in full: budgets, isolation, networks, health',
  description:
    'Prints a service as the release asks for it, beside what the kernel of this device holds: budgets, every ' +
    'loosening of its isolation, what this device cannot hold, networks, health, dependencies and mounts.',
  operands: ['service'],
  options: {},
  examples: [
    { command: 'wherry inspect sensor', what: 'look' },
    { command: `wherry inspect sensor --json | jq '.loosenings'`, what: 'its loosenings only' },
  ],
  run,
};

async function run({ io, paint, client, operands, isJson, print, printJson }: Call): Promise<number> {
  const inspection = await client.inspect(operands[0] ?? '');
  if (isJson) {
    await printJson(inspection);
    return EXIT.ok;
  }
  const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
  const facts = describeInspection(inspection, io.now()).flatMap(([heading, text]) => {
    const label = heading.padEnd(12);
    return hang(label, printable(text), columns).map((line, index) =>
      index ? line : paint.dim(label) + line.slice(label.length),
    );
  });
  const [heading = '', ...budgets] = layOutTable(
    [
      { title: 'BUDGET', align: 'left' },
      { title: 'ASKED', align: 'right' },
      { title: 'HELD', align: 'right' },
      { title: 'USED', align: 'right' },
    ],
    inspection.budgets.map(({ what, asked, held, used }) => [what, asked, held ?? '-', used ?? '-']),
  );
  await print([...facts, '', paint.dim(heading), ...budgets]);
  return EXIT.ok;
}
