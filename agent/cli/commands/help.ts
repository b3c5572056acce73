import { unknownCommand } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { commandHelp, generalHelp, nounHelp, synopsis } from '../help.ts';
import { TOOL_NOUNS } from '../tool-nouns.ts';

export const help: Command = {
  name: 'help',
  summary: 'help on a command, or the list of all',
  description:
    'Prints what a command does, its options and examples, as wherry <command> --help does. Of a noun its verbs.',
  operands: ['command*'],
  options: {},
  examples: [
    { command: 'wherry help update apply', what: 'one command' },
    { command: 'wherry help update', what: 'those of a noun' },
  ],
  run,
};

async function run({ io, operands, isJson, print, printJson }: Call): Promise<number> {
  // The list of commands holds this one.
  const { COMMANDS } = await import('./index.ts');
  const name = operands.join(' ');
  const found = COMMANDS.filter((command) => command.name === name || command.name.startsWith(`${name} `));
  const shown = name === '' ? COMMANDS : found;
  const [word = ''] = operands;
  const tool = Object.hasOwn(TOOL_NOUNS, word) ? TOOL_NOUNS[word] : undefined;
  if (tool && !isJson) return tool.run([...operands, '--help'], io);
  if (shown.length === 0 && !tool)
    throw unknownCommand(name, [...COMMANDS.map((command) => command.name), ...Object.keys(TOOL_NOUNS)]);
  if (isJson) await printJson({ commands: shown.map(described) });
  else if (name === '') await print(generalHelp(COMMANDS));
  else await print(found[0]?.name === name ? commandHelp(found[0]) : nounHelp(name, found));
  return EXIT.ok;
}

const described = (command: Command) => ({
  name: command.name,
  usage: synopsis(command),
  summary: command.summary,
  description: command.description,
});
