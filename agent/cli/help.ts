import { GLOBAL_OPTIONS } from './arguments.ts';
import type { Command, CommandOption } from './command.ts';
import { layOutTable, wrap } from './core/layout.ts';
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
      commands.map(({ name, operands, summary }) => [[name, ...operands.map(angled)].join(' '), summary]),
    ),
    '',
    "On the signer's or developer's machine:",
    ...list(tools.map(({ name, summary }) => [`${name} <verb>`, summary])),
    '',
    'Options of every device command:',
    ...optionList(GLOBAL_OPTIONS),
    '',
    'Exit codes: 0 ok, 1 failed, 2 usage, 3 no agent, 4 refused, 75 try again',
    'Help on a command: wherry <command> --help',
  ];
}

export function commandHelp(command: Command): string[] {
  return [
    `Usage: ${synopsis(command)}`,
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

/** "wherry logs <service> [-f] [-n N]" */
export function synopsis({ name, operands, options }: Command): string {
  const flags = Object.entries(options).map(([name, option]) => `[${spelling(name, option)}]`);
  return ['wherry', name, ...operands.map(angled), ...flags].join(' ');
}

const angled = (operand: string): string => `<${operand}>`;

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

function list(rows: string[][]): string[] {
  const columns = [
    { title: '', align: 'left' },
    { title: '', align: 'left' },
  ] as const;
  return layOutTable([...columns], rows)
    .slice(1)
    .map((line) => `  ${line}`);
}
