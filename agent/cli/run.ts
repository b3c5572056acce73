import { Readable } from 'node:stream';
import {
  checkOperands,
  checkRest,
  findCommand,
  parseArguments,
  splitRest,
  unknownCommand,
  usage,
} from './arguments.ts';
import { agentClient } from './client.ts';
import type { Call, Command } from './command.ts';
import { COMMANDS } from './commands/index.ts';
import { NAMES_TIMEOUT_MS, NAMES_WORD, namesFor } from './completion/names.ts';
import { CliError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
import { ownField } from './field.ts';
import { commandHelp, generalHelp } from './help.ts';
import { type Io, write } from './io.ts';
import { paintFor } from './paint.ts';
import { TOOL_NOUNS } from './tool-nouns.ts';

const DEFAULT_SOCKET = '/run/wherry/agent.sock';

const DEFAULT_CONFIG = '/etc/wherry/agent.json';

type Optional = 'columns' | 'now' | 'stdin' | 'field';
/** What a caller hands in; without the optional ones: 80, the machine's clock and disk, nothing to read. */
export type GivenIo = Omit<Io, Optional> & Partial<Pick<Io, Optional>>;

/** Runs one command line (without node and script) and resolves with the exit code. Never throws, never exits. */
export async function runCli(argv: string[], given: GivenIo): Promise<number> {
  const { columns = 80, now = Date.now, stdin = Readable.from([]), field = ownField } = given;
  const io: Io = { ...given, columns, now, stdin, field };
  try {
    return await dispatch(argv[0] === '--version' ? ['version', ...argv.slice(1)] : argv, io);
  } catch (error) {
    if (isClosedPipe(error)) return EXIT.ok;
    if (io.signal.aborted) return EXIT.interrupted;
    await explain(error, isJsonWanted(argv), io);
    return error instanceof CliError ? error.exit : EXIT.failed;
  }
}

async function dispatch(argv: string[], io: Io): Promise<number> {
  const at = findCommand(argv);
  const word = argv[at];
  if (word === NAMES_WORD) return printNames(argv.toSpliced(at, 1), io);
  const tool = word !== undefined && Object.hasOwn(TOOL_NOUNS, word) ? TOOL_NOUNS[word] : undefined;
  if (tool) return tool.run(argv.slice(at), io);
  const command = commandOf(word, argv[at + 1]);
  const words = command?.name.split(' ').length ?? 0;
  const { own, rest } = splitRest(argv.toSpliced(at, words), command);
  const { operands, options } = parseArguments(own, command);
  if (options['help']) return printHelp(command ? commandHelp(command) : generalHelp(COMMANDS), io);
  if (!command) {
    await write(io.stderr, joinLines(generalHelp(COMMANDS)));
    return EXIT.usage;
  }
  checkOperands(command, operands);
  checkRest(command, rest);
  return command.run(callFor(io, { operands, rest, options }));
}

/** Undefined when no command is given. Throws CliError "usage". */
function commandOf(word: string | undefined, verb: string | undefined): Command | undefined {
  if (word === undefined) return undefined;
  const command = COMMANDS.find(({ name }) => name === word || name === `${word} ${verb}`);
  if (command) return command;
  const verbs = COMMANDS.flatMap(({ name }) => (name.startsWith(`${word} `) ? [name.split(' ')[1]] : []));
  if (verbs.length) {
    throw usage(`Cannot run "${word}": wanted ${word} ${verbs.join(` or ${word} `)}`, undefined);
  }
  const words = new Set(COMMANDS.map(({ name }) => name.split(' ')[0] ?? ''));
  throw unknownCommand(word, [...words, ...Object.keys(TOOL_NOUNS)]);
}

/** Names for a shell's completion: never a word of complaint. */
async function printNames(argv: string[], io: Io): Promise<number> {
  const { operands, options } = parseArguments(argv, undefined);
  const signal = AbortSignal.any([io.signal, AbortSignal.timeout(NAMES_TIMEOUT_MS)]);
  const names = await namesFor(operands[0], agentClient(socketOf(options, io), signal));
  if (names.length > 0) await write(io.stdout, joinLines(names));
  return EXIT.ok;
}

const socketOf = (options: Call['options'], io: Io): string =>
  String(options['socket'] || io.env['WHERRY_SOCKET'] || DEFAULT_SOCKET);

async function printHelp(lines: string[], io: Io): Promise<number> {
  await write(io.stdout, joinLines(lines));
  return EXIT.ok;
}

function callFor(io: Io, given: Pick<Call, 'operands' | 'rest' | 'options'>): Call {
  const { options } = given;
  const isJson = options['json'] === true;
  return {
    ...given,
    io,
    isJson,
    paint: paintFor(io),
    client: agentClient(socketOf(options, io), io.signal),
    configFile: String(options['config'] || io.env['WHERRY_CONFIG'] || DEFAULT_CONFIG),
    field: io.field,
    print: (lines) => write(io.stdout, joinLines(lines)),
    printJson: (document) => write(io.stdout, `${JSON.stringify(document, null, 2)}\n`),
    say: async (line) => {
      if (!isJson) await write(io.stderr, `${line}\n`);
    },
  };
}

/** What follows `--` is somebody else's. */
const isJsonWanted = (argv: string[]): boolean =>
  argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length).includes('--json');

/** A failure in words on stderr; with --json as a document on stdout too, so what a script reads is always JSON. */
async function explain(failure: unknown, isJson: boolean, io: Io): Promise<void> {
  const isKnown = failure instanceof CliError;
  const message = failure instanceof Error ? failure.message : String(failure);
  const hints = isKnown ? failure.hints : [];
  const document = { error: { code: isKnown ? failure.code : 'internal', message, hints } };
  try {
    await write(io.stderr, joinLines([`wherry: ${message}`, ...hints.map((hint) => `  ${hint}`)]));
    if (isJson) await write(io.stdout, `${JSON.stringify(document)}\n`);
  } catch {
    // With its readers gone the exit code is all that is left to tell.
  }
}

const joinLines = (lines: string[]): string => lines.map((line) => `${line}\n`).join('');

/** `wherry logs … | head`: the reader had enough, which is no failure. */
const isClosedPipe = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE';
