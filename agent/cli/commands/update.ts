import type { Call, Command } from '../command.ts';
import { hang, layOutTable, printable } from '../core/layout.ts';
import { describeUpdate } from '../core/update.ts';
import { EXIT } from '../exit-codes.ts';
import { clockTime } from '../timestamp.ts';

export const updateStatus: Command = {
  name: 'update status',
  summary: 'where the update stands and what it waits for',
  description:
    'Shows the phase, the release on its way, what it waits for and when that ends, its progress, the releases in ' +
    'force and before, the next window, and who holds leases.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry update status', what: 'look' },
    { command: 'wherry update status --json | jq .waitsUntil', what: 'ask from a script' },
  ],
  run: status,
};

export const updateHistory: Command = {
  name: 'update history',
  summary: 'what became of updates here, newest first',
  description:
    'Lists the last hundred events of updates that the agent keeps on this device: offers, refusals, commits, ' +
    'rollbacks, and what was wished by hand. It needs no server.',
  operands: [],
  options: {},
  examples: [{ command: 'wherry update history', what: 'look' }],
  run: history,
};

async function status({ io, paint, client, isJson, print, printJson }: Call): Promise<number> {
  const answer = await client.update();
  if (isJson) await printJson(answer);
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    const lines = describeUpdate(answer, io.now(), clockTime).flatMap(([heading, text]) => {
      const label = heading.padEnd(10);
      return hang(label, printable(text), columns).map((line, index) =>
        index ? line : paint.dim(label) + line.slice(label.length),
      );
    });
    await print(lines);
  }
  return EXIT.ok;
}

async function history({ io, paint, client, isJson, print, printJson, say }: Call): Promise<number> {
  const { events } = await client.updateHistory();
  if (isJson) await printJson({ events });
  else if (events.length === 0) await say('No update has happened here');
  else {
    const columns = ['AT', 'RELEASE', 'WHAT'].map((title) => ({ title, align: 'left' as const }));
    const rows = events.map(({ at, release, code }) => [clockTime(at), printable(release ?? '-'), code]);
    const [heading = '', ...lines] = layOutTable(columns, rows);
    const width = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    await print([
      paint.dim(heading),
      ...lines.flatMap((line, index) => [
        line,
        ...hang('  ', printable(events[index]?.message ?? ''), width),
      ]),
    ]);
  }
  return EXIT.ok;
}
