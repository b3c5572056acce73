import { lines, operands, takers, values } from './case-arms.ts';
import type { CompletionModel, Words } from './model.ts';
import { NAMES_WORD } from './names.ts';

/** For bash 4 and later, with or without the package bash-completion. */
export function bashCompletion(model: CompletionModel): string {
  return `# bash completion of wherry
# Made by: wherry completion bash

_wherry_names() { "\${COMP_WORDS[0]}" ${NAMES_WORD} "$1" 2>/dev/null; }

# Whether an option of a command takes a value.
_wherry_takes() {
  case "$1:$2" in
${lines(takers(model))}
    *) return 1 ;;
  esac
}

_wherry() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command= noun= operands=0 i word last= choice=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    last=
    case $word in
      -*) _wherry_takes "$command" "$word" && { last=$word; ((i++)); }; continue ;;
    esac
    if [[ -z $command && -z $noun ]]; then
      case $word in
        ${alternatives(Object.keys(model.verbs))}) noun=$word ;;
        *) command=$word ;;
      esac
    elif [[ -z $command ]]; then command="$noun $word"
    else ((operands++)); fi
  done
  if [[ -n $last && $i -gt $COMP_CWORD ]]; then
    case "$command:$last" in
${lines(values(model, action))}
    esac
  elif [[ $cur == -* ]]; then
    case $command in
${lines(model.commands.map(({ name, options }) => `${quoted(name)}) choice=${quoted(spellings(options))} ;;`))}
    esac
    choice+=" ${spellings(model.global)}"
  elif [[ -z $command && -z $noun ]]; then
    choice="${model.first.map(({ word }) => word).join(' ')}"
  elif [[ -z $command ]]; then
    case $noun in
${lines(Object.entries(model.verbs).map(([noun, verbs]) => `${noun}) choice=${quoted(verbs.map(({ word }) => word).join(' '))} ;;`))}
    esac
  else
    case "$command:$operands" in
${lines(operands(model, action))}
    esac
  fi
  [[ -n $choice ]] && COMPREPLY=($(compgen -W "$choice" -- "$cur"))
}

complete -F _wherry wherry
`;
}

function action(words: Words): string | undefined {
  switch (words.kind) {
    case 'fixed':
      return `choice=${quoted(words.words.join(' '))}`;
    case 'names':
      return `choice=$(_wherry_names ${words.of})`;
    case 'files':
      return 'compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))';
    case 'folders':
      return 'compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur"))';
    case 'none':
      return undefined;
  }
}

const spellings = (options: CompletionModel['global']): string =>
  options.flatMap((option) => option.spellings).join(' ');
const alternatives = (words: string[]): string => words.join('|');
/** None of these words holds a quote: the declarations' test says so. */
const quoted = (text: string): string => `'${text}'`;
