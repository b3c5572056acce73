import type { CompletedCommand, CompletedOption, CompletionModel, Words } from './model.ts';
import { NAMES_WORD } from './names.ts';

/** For fish 3. */
export function fishCompletion(model: CompletionModel): string {
  return `# fish completion of wherry
# Made by: wherry completion fish

function __wherry_names
    set -l words (commandline -opc)
    $words[1] ${NAMES_WORD} $argv[1] 2>/dev/null
end

function __wherry_takes
    switch "$argv[1]:$argv[2]"
        case ${takers(model).join(' ')}
            return 0
    end
    return 1
end

# Prints the command, ":" and how many of its arguments are there: "", "update", "logs:0", "update apply:1".
function __wherry_at
    set -l words (commandline -opc)
    set -l command
    set -l noun
    set -l operands 0
    set -l skip 0
    for word in $words[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        if string match -q -- '-*' $word
            __wherry_takes "$command" "$word"; and set skip 1
            continue
        end
        if test -z "$command"; and test -z "$noun"
            switch $word
                case ${Object.keys(model.verbs).join(' ')}
                    set noun $word
                case '*'
                    set command $word
            end
        else if test -z "$command"
            set command "$noun $word"
        else
            set operands (math $operands + 1)
        end
    end
    if test -n "$command"
        echo "$command:$operands"
    else
        echo $noun
    end
end

function __wherry_is
    contains -- (__wherry_at) $argv
end

function __wherry_in
    string match -q -- "$argv[1]:*" (__wherry_at)
end

complete -c wherry -f
${[...first(model), ...verbs(model), ...model.commands.flatMap(ofCommand), ...model.global.map((option) => optionLine(option, undefined)), ...tools(model)].join('\n')}
`;
}

const takers = ({ commands, global }: CompletionModel): string[] => [
  ...commands.flatMap(({ name, options }) =>
    options
      .filter(({ value }) => value)
      .flatMap(({ spellings }) => spellings.map((spelling) => quoted(`${name}:${spelling}`))),
  ),
  ...global
    .filter(({ value }) => value)
    .flatMap(({ spellings }) => spellings.map((spelling) => quoted(`*:${spelling}`))),
];

const first = (model: CompletionModel): string[] =>
  model.first.map(
    ({ word, summary }) => `complete -c wherry -n '__wherry_is ""' -a ${word} -d ${quoted(summary)}`,
  );

const verbs = (model: CompletionModel): string[] =>
  Object.entries(model.verbs).flatMap(([noun, words]) =>
    words.map(
      ({ word, summary }) => `complete -c wherry -n '__wherry_is ${noun}' -a ${word} -d ${quoted(summary)}`,
    ),
  );

function ofCommand({ name, options, operands, isRepeated }: CompletedCommand): string[] {
  const inCommand = `__wherry_in "${name}"`;
  return [
    ...options.map((option) => optionLine(option, inCommand)),
    ...operands.flatMap((words, index) => {
      const isLast = index === operands.length - 1;
      const condition = isLast && isRepeated ? inCommand : `__wherry_is "${name}:${index}"`;
      const offered = offer(words);
      return offered ? [`complete -c wherry -n '${condition}' ${offered}`] : [];
    }),
  ];
}

function optionLine({ spellings, help, value }: CompletedOption, condition: string | undefined): string {
  const names = spellings.map((spelling) =>
    spelling.startsWith('--') ? `-l ${spelling.slice(2)}` : `-s ${spelling.slice(1)}`,
  );
  const takes = value ? takesOf(value) : '';
  const when = condition === undefined ? '' : `-n '${condition}' `;
  return `complete -c wherry ${when}${names.join(' ')} ${takes}${takes && ' '}-d ${quoted(help)}`;
}

/** Files are offered beside whatever else an option takes, unless it says otherwise. */
const takesOf = (value: Words): string =>
  [value.kind === 'files' ? '-r' : '-x', offer(value)].filter((part) => part !== undefined).join(' ');

const tools = (model: CompletionModel): string[] =>
  model.tools.map((tool) => `complete -c wherry -n '__wherry_in ${tool}' -F`);

function offer(words: Words): string | undefined {
  switch (words.kind) {
    case 'fixed':
      return `-a '${words.words.join(' ')}'`;
    case 'names':
      return `-a '(__wherry_names ${words.of})'`;
    case 'files':
      return '-F';
    case 'folders':
      return "-a '(__fish_complete_directories)'";
    case 'none':
      return undefined;
  }
}

const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
