import { GLOBAL_OPTIONS } from '../arguments.ts';
import type { Command, CommandOption } from '../command.ts';
import { operandOf } from '../operands.ts';
import { TOOL_NOUNS } from '../tool-nouns.ts';

/** What stands for a word that is asked for: fixed words, names that the running agent knows, or files. */
export type Words =
  | { kind: 'fixed'; words: readonly string[] }
  | { kind: 'names'; of: NameKind }
  | { kind: 'files' | 'folders' | 'none' };

/** Names that `wherry __names` asks the agent for (names.ts). */
export const NAME_KINDS = ['services', 'channels', 'holders', 'postmortems', 'secrets'] as const;
export type NameKind = (typeof NAME_KINDS)[number];

export interface CompletedOption {
  /** "--follow", "-f". */
  spellings: string[];
  help: string;
  /** What its value is; undefined when it takes none. */
  value: Words | undefined;
}

export interface CompletedCommand {
  /** "logs", "update apply". */
  name: string;
  summary: string;
  options: CompletedOption[];
  operands: Words[];
  /** The last of the operands may come again and again. */
  isRepeated: boolean;
}

export interface CompletedWord {
  word: string;
  summary: string;
}

export interface CompletionModel {
  /** First words: commands of one word, nouns, and the nouns of tools. */
  first: CompletedWord[];
  /** By noun: its verbs. */
  verbs: Record<string, CompletedWord[]>;
  commands: CompletedCommand[];
  global: CompletedOption[];
  /** Nouns of tools, which complete files. */
  tools: string[];
}

/** By the name of an operand or option. */
const WORDS: Record<string, Words> = {
  service: { kind: 'names', of: 'services' },
  channel: { kind: 'names', of: 'channels' },
  id: { kind: 'names', of: 'postmortems' },
  name: { kind: 'names', of: 'secrets' },
  holder: { kind: 'names', of: 'holders' },
  folder: { kind: 'folders' },
  release: { kind: 'folders' },
  file: { kind: 'files' },
};

/** What the shells complete, from the commands' own declarations. */
export function completionModel(commands: readonly Command[]): CompletionModel {
  const tools = Object.entries(TOOL_NOUNS);
  const nouns = new Map<string, CompletedWord[]>();
  const first: CompletedWord[] = [];
  for (const { name, summary } of commands) {
    const [noun = '', verb] = name.split(' ');
    if (verb === undefined) first.push({ word: noun, summary });
    else {
      const verbs = nouns.get(noun) ?? [];
      nouns.set(noun, [...verbs, { word: verb, summary }]);
    }
  }
  for (const [word, verbs] of nouns) first.push({ word, summary: verbs.map((verb) => verb.word).join(', ') });
  return {
    first: [...first, ...tools.map(([word, { summary }]) => ({ word, summary }))],
    verbs: Object.fromEntries(nouns),
    commands: commands.map(completedCommand),
    global: optionsOf(GLOBAL_OPTIONS, {}),
    tools: tools.map(([word]) => word),
  };
}

function completedCommand({ name, summary, operands, options, choices = {} }: Command): CompletedCommand {
  const declared = operands.map(operandOf);
  return {
    name,
    summary,
    options: optionsOf(options, choices),
    operands: declared.map((operand) => wordsOf(operand.name, choices)),
    isRepeated: declared.at(-1)?.isRepeated ?? false,
  };
}

const optionsOf = (
  options: Record<string, CommandOption>,
  choices: Record<string, readonly string[]>,
): CompletedOption[] =>
  Object.entries(options).map(([name, { short, type, help, value }]) => ({
    spellings: [`--${name}`, ...(short ? [`-${short}`] : [])],
    help,
    value: type === 'string' ? valueOf(name, value, choices) : undefined,
  }));

function valueOf(
  name: string,
  placeholder: string | undefined,
  choices: Record<string, readonly string[]>,
): Words {
  if (choices[name]) return wordsOf(name, choices);
  if (placeholder === 'FILE' || placeholder === 'PATH') return { kind: 'files' };
  if (placeholder === 'FOLDER') return { kind: 'folders' };
  return name === 'service' || name === 'holder' ? wordsOf(name, choices) : { kind: 'none' };
}

function wordsOf(name: string, choices: Record<string, readonly string[]>): Words {
  const words = choices[name];
  return words ? { kind: 'fixed', words } : (WORDS[name] ?? { kind: 'none' });
}
