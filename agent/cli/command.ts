import type { AgentClient } from './client.ts';
import type { Field } from './field.ts';
import type { Io } from './io.ts';
import type { Paint } from './paint.ts';

export interface CommandOption {
  type: 'boolean' | 'string';
  short?: string;
  /** What stands for the value in the help: "N". */
  value?: string;
  help: string;
}

/** What help, parsing and the documentation's test read; a command's file says it all. */
export interface Command {
  /** A word, or a noun and its verb. */
  name: string;
  /** One line for the list of commands. */
  summary: string;
  /** What it does, for its own help. */
  description: string;
  /** Names of the arguments it takes, as operands.ts reads them: "service", "folder?", "service...". */
  operands: string[];
  /** The words that an argument, or the value of an option, is one of; by its name. */
  choices?: Record<string, readonly string[]>;
  /** Name of what follows `--`, at least one word, taken as it stands. */
  rest?: string;
  /** What to say of more arguments where they must not be repeated. */
  refuseMore?: string;
  options: Record<string, CommandOption>;
  examples: { command: string; what: string }[];
  /** Resolves with the exit code; throws CliError. */
  run: (call: Call) => Promise<number>;
}

export interface Call {
  io: Io;
  paint: Paint;
  client: AgentClient;
  /** Of agent.json: what there is to know without the agent begins there. */
  configFile: string;
  field: Field;
  isJson: boolean;
  operands: string[];
  /** What followed `--`. */
  rest: string[];
  options: Record<string, string | boolean | undefined>;
  /** Writes lines of data. */
  print: (lines: string[]) => Promise<void>;
  /** Writes one document of the --json contract. */
  printJson: (document: unknown) => Promise<void>;
  /** Writes words beside the data; nothing when --json is given. */
  say: (line: string) => Promise<void>;
}
