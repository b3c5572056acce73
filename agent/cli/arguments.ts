import { parseArgs } from 'node:util';
import { nearest } from '../../protocol/nearest.ts';
import type { Command, CommandOption } from './command.ts';
import { CliError } from './errors.ts';
import { operandOf, operandText } from './operands.ts';

export const GLOBAL_OPTIONS: Record<string, CommandOption> = {
  json: { type: 'boolean', help: 'print the documented JSON instead of text' },
  socket: { type: 'string', value: 'PATH', help: 'default: $WHERRY_SOCKET or /run/wherry/agent.sock' },
  config: { type: 'string', value: 'PATH', help: 'default: $WHERRY_CONFIG or /etc/wherry/agent.json' },
  help: { type: 'boolean', short: 'h', help: 'print this help' },
};

export interface Parsed {
  operands: string[];
  options: Record<string, string | boolean | undefined>;
}

/** Index of the command's word in argv: the first that is neither a global option nor the value of one. */
export function findCommand(argv: string[]): number {
  let index = 0;
  while (argv[index]?.startsWith('-')) index += ['--socket', '--config'].includes(argv[index] ?? '') ? 2 : 1;
  return Math.min(index, argv.length);
}

/** Reads the arguments of a command, or of none. Throws CliError "usage" with what was probably meant. */
export function parseArguments(argv: string[], command: Command | undefined): Parsed {
  const known = { ...command?.options, ...GLOBAL_OPTIONS };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { type, short }]) => [name, { type, ...(short && { short }) }]),
  );
  const { tokens, values, positionals } = parseArgs({
    args: argv,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = known[token.name];
    if (!option) throw unknownOption(token.rawName, Object.keys(known), command);
    if (option.type === 'string' && !token.value) {
      throw usage(
        `Cannot read ${token.rawName}: it has no value; wanted ${token.rawName} ${option.value}`,
        command,
      );
    }
    if (option.type === 'boolean' && token.value !== undefined) {
      throw usage(`Cannot read ${token.rawName}=${token.value}: ${token.rawName} takes no value`, command);
    }
  }
  return { operands: positionals, options: values as Parsed['options'] };
}

/** Throws CliError "usage" unless the operands are as many as the command takes, and words that it knows. */
export function checkOperands(command: Command, operands: string[]): void {
  const declared = command.operands.map((text) => ({ text, ...operandOf(text) }));
  const missing = declared.slice(operands.length).filter(({ isOptional }) => !isOptional);
  if (missing.length) {
    throw usage(
      `Cannot run "${command.name}": ${missing.map(({ text }) => operandText(text)).join(' ')} is missing`,
      command,
    );
  }
  const extra = declared.at(-1)?.isRepeated ? [] : operands.slice(declared.length);
  if (extra.length) {
    const said = `Cannot run "${command.name}": "${extra.join(' ')}" is one argument too many`;
    throw usage(command.refuseMore ?? said, command);
  }
  for (const [index, { name }] of declared.entries()) checkChoice(command, name, operands[index]);
}

function checkChoice(command: Command, name: string, given: string | undefined): void {
  const words = command.choices?.[name];
  if (words === undefined || given === undefined || words.includes(given)) return;
  throw usage(`Cannot run "${command.name} ${given}": wanted ${words.join(', ')}`, command);
}

/** Parts what is the command's from what is somebody else's: words after `--`, for commands that take any. */
export function splitRest(argv: string[], command: Command | undefined): { own: string[]; rest: string[] } {
  const at = command?.rest === undefined ? -1 : argv.indexOf('--');
  return at < 0 ? { own: argv, rest: [] } : { own: argv.slice(0, at), rest: argv.slice(at + 1) };
}

/** Throws CliError "usage" when the command wants words after `--` and there are none. */
export function checkRest(command: Command, rest: string[]): void {
  if (command.rest === undefined || rest.length > 0) return;
  throw usage(
    `Cannot run "${command.name}": wanted -- and then the ${command.rest}: wherry ${command.name} web -- ls /`,
    command,
  );
}

export function unknownCommand(word: string, names: string[]): CliError {
  const near = nearest(word, names);
  const fault = `Cannot run "${word}": there is no such command`;
  return usage(near ? `${fault}; did you mean "${near}"?` : fault, undefined);
}

function unknownOption(rawName: string, names: string[], command: Command | undefined): CliError {
  const near = nearest(rawName.replace(/^-+/, ''), names);
  const fault = `Cannot read ${rawName}: there is no such option`;
  return usage(near ? `${fault}; did you mean --${near}?` : fault, command);
}

export function usage(message: string, command: Pick<Command, 'name'> | undefined): CliError {
  return new CliError('usage', message, [`Try: wherry ${command ? `${command.name} ` : ''}--help`]);
}
