import { GLOBAL_OPTIONS } from './arguments.ts';
import type { Command, CommandOption } from './command.ts';
import { hang, wrap } from './core/layout.ts';
import { operandText } from './operands.ts';
import { TOOL_NOUNS } from './tool-nouns.ts';

/** Help is laid out for the narrowest terminal in the field. */
const COLUMNS = 80;

export function generalHelp(commands: Command[]): string[] {
  const tools = Object.entries(TOOL_NOUNS).map(([name, { summary }]) => ({ name, summary }));
  return [
    'Usage: wherry <command> [options]',
    '',
    ...wrap('Shows and steers the Wherry agent of this device. Works without a network.', COLUMNS),
    '',
    'On the device:',
    ...list(
      commands.map(({ name, operands, summary }) => [
        [name, ...operands.map(operandText)].join(' '),
        summary,
      ]),
    ),
    '',
    "On the signer's or developer's machine:",
    ...list(tools.map(({ name, summary }) => [`${name} <verb>`, summary])),
    '',
    'Options of every device command:',
    ...optionList(GLOBAL_OPTIONS),
    '',
    'Exit codes: 0 ok, 1 failed, 2 usage, 3 no agent, 4 refused, 75 try again',
    'Help on a command: wherry help <command>, or wherry <command> --help',
  ];
}

export function commandHelp(command: Command): string[] {
  return [
    ...hang('Usage: ', synopsis(command), COLUMNS),
    '',
    ...wrap(command.description, COLUMNS),
    '',
    'Options:',
    ...optionList({ ...command.options, ...GLOBAL_OPTIONS }),
    '',
    'Examples:',
    ...list(command.examples.map(({ command, what }) => [command, what])),
  ];
}

/** The verbs of a noun. */
export function nounHelp(noun: string, commands: Command[]): string[] {
  return [
    `Usage: wherry ${noun} <verb> [options]`,
    '',
    ...list(
      commands.map(({ name, operands, summary }) => [
        [name, ...operands.map(operandText)].join(' '),
        summary,
      ]),
    ),
  ];
}

/** "wherry logs <service> [-f] [-n N]" */
export function synopsis(command: Command): string {
  const { name, operands, options, rest } = command;
  const flags = Object.entries(options).map(([name, option]) => `[${spelling(name, option)}]`);
  const words = operands.map(operandText);
  return ['wherry', name, ...words, ...flags, ...(rest ? ['--', `<${rest}>...`] : [])].join(' ');
}

function spelling(name: string, { short, value }: CommandOption): string {
  return `${short ? `-${short}` : `--${name}`}${value ? ` ${value}` : ''}`;
}

function optionList(options: Record<string, CommandOption>): string[] {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => [
    `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
    help,
  ]);
  return list(rows);
}

/** Widest first column beside which its text still fits; what is wider stands on a line of its own. */
const MOST_LABEL = 32;

function list(rows: string[][]): string[] {
  const widths = rows.map(([label = '']) => label.length).filter((width) => width <= MOST_LABEL);
  const width = Math.max(0, ...widths);
  return rows.flatMap(([label = '', text = '']) => {
    if (label.length <= width) return hang(`  ${label.padEnd(width)}  `, text, COLUMNS);
    return [`  ${label}`, ...hang(' '.repeat(width + 4), text, COLUMNS)];
  });
}
