import { GLOBAL_OPTIONS } from './arguments.ts';
import type { Command, CommandOption } from './command.ts';
import { wrap } from './core/layout.ts';
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts';
import { operandText } from './operands.ts';
import { TOOL_NOUNS } from './tool-nouns.ts';

/** Of a manual page: "wherry-update.1" and its source for man(7). */
export interface ManPage {
  file: string;
  source: string;
}

/** Of a line of source: escapes make it no longer than the 80 that mandoc(1) likes. */
const COLUMNS = 70;

interface About {
  version: string;
  /** "2026-11-22". */
  date: string;
}

/** wherry(1) and one page for each noun, from the commands' own declarations. */
export function manPages(commands: readonly Command[], about: About): ManPage[] {
  const nouns = Map.groupBy(commands, ({ name }) => name.split(' ')[0] ?? '');
  const pages = [...nouns].map(([noun, verbs]) => ({
    file: `wherry-${noun}.1`,
    source: nounPage(noun, verbs, about),
  }));
  return [{ file: 'wherry.1', source: generalPage([...nouns], about) }, ...pages];
}

function generalPage(nouns: [string, Command[]][], about: About): string {
  const listed = nouns.map(([noun, verbs]) => [`\\fBwherry\\-${roff(noun)}\\fR(1)`, summaryOf(noun, verbs)]);
  const tools = Object.entries(TOOL_NOUNS).map(([name, { summary }]) => [`\\fB${roff(name)}\\fR`, summary]);
  return page(`WHERRY`, about, [
    ['NAME', 'wherry \\- shows and steers the Wherry agent of this device'],
    ['SYNOPSIS', '.B wherry\n.I command\n.RI [ options ]'],
    [
      'DESCRIPTION',
      'Talks to the agent over its unix socket, as root or as a member of the group\n.IR wherry .\n' +
        'It needs no network. Standard output is data, standard error is words.',
    ],
    ['COMMANDS', tagged(listed)],
    ["ON THE SIGNER'S OR DEVELOPER'S MACHINE", tagged(tools)],
    ['OPTIONS', tagged(optionRows(GLOBAL_OPTIONS))],
    ...common(),
    ['SEE ALSO', `${nouns.map(([noun]) => `.BR wherry\\-${roff(noun)} (1)`).join(',\n')}`],
  ]);
}

function nounPage(noun: string, verbs: Command[], about: About): string {
  const isGroup = verbs.some(({ name }) => name.includes(' '));
  const name = `wherry\\-${roff(noun)} \\-\n${text(summaryOf(noun, verbs))}`;
  const parts: [string, string][] = isGroup
    ? [['COMMANDS', verbs.map(verbPart).join('\n')]]
    : [
        ['DESCRIPTION', verbs.map(({ description }) => text(description)).join('\n')],
        ...verbs.flatMap(ownOptions),
      ];
  return page(`WHERRY\\-${roff(noun.toUpperCase())}`, about, [
    ['NAME', name],
    ['SYNOPSIS', verbs.map(synopsis).join('\n.br\n')],
    ...parts,
    ['OPTIONS OF EVERY COMMAND', tagged(optionRows(GLOBAL_OPTIONS))],
    [
      'EXAMPLES',
      verbs
        .flatMap(({ examples }) => examples)
        .map(example)
        .join('\n'),
    ],
    ...common(),
    ['SEE ALSO', '.BR wherry (1)'],
  ]);
}

const summaryOf = (noun: string, verbs: Command[]): string => {
  const [only] = verbs;
  if (only?.name === noun) return only.summary;
  return verbs.map(({ name }) => name.slice(noun.length + 1)).join(', ');
};

const ownOptions = ({ options }: Command): [string, string][] =>
  Object.keys(options).length > 0 ? [['OPTIONS', tagged(optionRows(options))]] : [];

function verbPart({ name, description, options }: Command): string {
  const rows = optionRows(options);
  const head = `.SS ${roff(name)}\n${text(description)}`;
  return rows.length > 0 ? `${head}\n${tagged(rows)}` : head;
}

function synopsis({ name, operands, options }: Command): string {
  const words = operands.map((operand) => `\\fI${roff(operandText(operand))}\\fR`);
  const flags = Object.entries(options).map(
    ([option, { value }]) => `[\\fB\\-\\-${roff(option)}\\fR${value ? ` \\fI${roff(value)}\\fR` : ''}]`,
  );
  return [`\\fBwherry ${roff(name)}\\fR`, ...words, ...flags].join(' ');
}

const optionRows = (options: Record<string, CommandOption>): string[][] =>
  Object.entries(options).map(([name, { short, value, help }]) => [
    `${short ? `\\fB\\-${short}\\fR, ` : ''}\\fB\\-\\-${roff(name)}\\fR${value ? ` \\fI${roff(value)}\\fR` : ''}`,
    help,
  ]);

/** Exit status, environment and files are the same for all. */
function common(): [string, string][] {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return [
    ['EXIT STATUS', tagged(names.map((name) => [`\\fB${EXIT[name]}\\fR`, EXIT_MEANINGS[name]]))],
    [
      'ENVIRONMENT',
      tagged([
        ['\\fBWHERRY_SOCKET\\fR', "the agent's socket where --socket does not name one"],
        ['\\fBNO_COLOR\\fR', 'not empty: no colours'],
        ['\\fBTERM\\fR', '"dumb": no colours'],
      ]),
    ],
    [
      'FILES',
      tagged([
        ['\\fI/run/wherry/agent.sock\\fR', "the agent's socket"],
        ['\\fI/etc/wherry/agent.json\\fR', "the agent's configuration"],
      ]),
    ],
  ];
}

const example = ({ command, what }: { command: string; what: string }): string =>
  `.TP\n\\fB${roff(command)}\\fR\n${text(what)}`;

const tagged = (rows: string[][]): string =>
  rows.map(([tag = '', what = '']) => `.TP\n${tag}\n${text(what)}`).join('\n');

function page(title: string, { version, date }: About, sections: [string, string][]): string {
  const head = `.\\" Made from the declarations of the commands: scripts/build.ts\n.TH ${title} 1 ${date} "wherry ${version}" "Wherry"`;
  return `${[head, ...sections.map(([name, body]) => `.SH ${quotedHeading(name)}\n${body}`)].join('\n')}\n`;
}

const quotedHeading = (name: string): string => (name.includes(' ') ? `"${roff(name)}"` : name);

/** One paragraph, a sentence a line, as man(7) wants it. */
const text = (prose: string): string =>
  prose
    .split(/(?<=[.!?:]) (?=[A-Z`])/)
    .flatMap((sentence) => wrap(sentence, COLUMNS))
    .map(line)
    .join('\n');

/** A line of text that is no request. */
const line = (prose: string): string => roff(prose).replace(/^(?=[.'])/, '\\&');

/** man(7) reads "-" as a hyphen, and a back-slash as its own. */
const roff = (prose: string): string =>
  prose
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('…', '...');
