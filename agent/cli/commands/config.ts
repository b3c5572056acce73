import { existsSync } from 'node:fs';
import { parseJoinString } from '../../../protocol/enrolment.ts';
import { configDefaults } from '../../config.ts';
import { findConfig, isOfBoard, readConfig } from '../agent-config.ts';
import type { Call, Command } from '../command.ts';
import { effectiveConfig } from '../core/effective-config.ts';
import { layOutTable, printable } from '../core/layout.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';

export const configShow: Command = {
  name: 'config show',
  summary: 'what the agent goes by, and where each value comes from',
  description:
    'Prints the effective configuration: each value with whether it stands in the file, is the default, or was put ' +
    "there by a board's first boot from its system image or wherry.json. Secrets are left out. It needs no agent: " +
    'without --config it shows what the running one reads, else /etc/wherry/agent.json.',
  operands: [],
  options: {},
  examples: [{ command: 'sudo wherry config show', what: 'look' }],
  run: show,
};

export const configCheck: Command = {
  name: 'config check',
  summary: 'whether the agent would take a configuration',
  description:
    'Checks a file by the same closed schema as the agent: each fault with its exact path and, for a key that is ' +
    'not known, the one that was probably meant. Then whether what it names is there. It needs no agent.',
  operands: ['file?'],
  options: {},
  examples: [
    { command: 'sudo wherry config check', what: 'the one in use' },
    { command: 'wherry config check agent.json', what: 'before it is put there' },
  ],
  run: check,
};

async function show(call: Call): Promise<number> {
  const { paint, isJson, print, printJson } = call;
  const { file, pid } = await findConfig(call);
  const { document, checked } = readConfig(file);
  if (!checked.ok) throw bad(file, checked.faults);
  const values = effectiveConfig(document, configDefaults(document), isOfBoard(file));
  if (isJson) {
    await printJson({ file, pid: pid ?? null, values });
    return EXIT.ok;
  }
  const columns = ['KEY', 'VALUE', 'FROM'].map((title) => ({ title, align: 'left' as const }));
  const rows = values.map(({ path, value, from }) => [path, printable(String(value)), from]);
  const [heading = '', ...lines] = layOutTable(columns, rows);
  await print([
    `${file}${pid === undefined ? '' : `, read by the agent ${pid}`}`,
    paint.dim(heading),
    ...lines,
  ]);
  return EXIT.ok;
}

async function check(call: Call): Promise<number> {
  const { operands, isJson, print, printJson, say } = call;
  const file = operands[0] ?? (await findConfig(call)).file;
  const { checked } = readConfig(file);
  const faults = checked.ok ? [] : checked.faults;
  const warnings = checked.ok ? warningsOf(checked.value) : [];
  if (isJson) await printJson({ file, isValid: checked.ok, faults, warnings });
  else if (checked.ok) await print([`${file}: the agent takes it`]);
  else {
    await say(
      `wherry: Cannot use configuration ${file}: it has ${faults.length} fault${faults.length > 1 ? 's' : ''}`,
    );
    await print(faults);
  }
  for (const warning of warnings) await say(`Warning: ${warning}`);
  return checked.ok ? EXIT.ok : EXIT.failed;
}

const bad = (file: string, faults: string[]): CliError =>
  new CliError('bad-config', `Cannot use configuration ${file}: ${faults.join('; ')}`, [
    'See all that is wrong with it: wherry config check',
  ]);

/** What the schema cannot tell. */
function warningsOf({ trustRoot, join: joinString }: { trustRoot: string; join?: string }): string[] {
  return [
    ...(existsSync(trustRoot)
      ? []
      : [`trustRoot ${trustRoot} is not there; without it the device takes no release`]),
    ...(joinString === undefined || parseJoinString(joinString)
      ? []
      : ['join is no join string; wanted wherry://host:port#ca=sha256:<hex>&t=<token>']),
  ];
}
