import { resolve } from 'node:path';
import type { Call, Command } from '../command.ts';
import { hang, printable, wrap } from '../core/layout.ts';
import { describeCheck, describePlan } from '../core/plan-lines.ts';
import { EXIT } from '../exit-codes.ts';
import { clockTime } from '../timestamp.ts';

export const updateCheck: Command = {
  name: 'update check',
  summary: 'ask now what is offered, and why it is not taken',
  description:
    'Asks the server now for the newest signed metadata, trusts it as usual, and says which release is offered and ' +
    'all that holds it: consent, power, leases, windows, a link that is metered, or that it was refused before. ' +
    'Ends with 0 whatever the answer is, and with 75 when the server was not reached.',
  operands: [],
  options: {},
  examples: [
    { command: 'wherry update check', what: 'ask' },
    { command: 'wherry update check --json | jq -r .verdict', what: 'from a script' },
  ],
  run: check,
};

export const plan: Command = {
  name: 'plan',
  summary: 'what a release would do here, without doing it',
  description:
    'Shows the exact steps in order, by the same planner that takes them; what of it would be fetched (had, as a ' +
    'delta, whole); how long each service is away, by times that were measured here, else by its grace; and ' +
    'whether it fits the budgets and the disk. `offered` is the release on its way. It changes nothing. Ends with ' +
    '4 when the release would be refused or does not fit.',
  operands: ['release'],
  options: {},
  examples: [
    { command: 'wherry plan /media/stick/bundle', what: 'a release on a stick' },
    { command: 'wherry plan offered', what: 'the one that the server offers' },
  ],
  run: show,
};

const OFFERED = 'offered';

async function check({ io, paint, client, isJson, print, printJson }: Call): Promise<number> {
  const answer = await client.check();
  if (isJson) await printJson(answer);
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    const rows = describeCheck(answer, io.now(), clockTime);
    const lines = rows.flatMap(([heading, text]) => {
      const label = heading.padEnd(10);
      return hang(label, printable(text), columns).map((line, index) =>
        index ? line : paint.dim(label) + line.slice(label.length),
      );
    });
    await print(lines);
  }
  return answer.metadata.state === 'unreachable' ? EXIT.tryAgain : EXIT.ok;
}

async function show({ io, paint, client, operands, isJson, print, printJson }: Call): Promise<number> {
  const [release = ''] = operands;
  // The agent's working folder is another one.
  const answer = await client.plan(release === OFFERED ? undefined : resolve(release));
  if (isJson) await printJson(answer);
  else {
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    for (const { heading, lines } of describePlan(answer))
      await print([paint.dim(heading), ...lines.flatMap((line) => fitted(printable(line), columns))]);
  }
  return answer.disk.fits && answer.admission.fits ? EXIT.ok : EXIT.refused;
}

/** Tables keep their columns as long as they fit. */
const fitted = (line: string, columns: number): string[] =>
  [...line].length + 2 <= columns
    ? [`  ${line}`]
    : wrap(line, columns - 4).map((part, i) => `${i ? '    ' : '  '}${part}`);
