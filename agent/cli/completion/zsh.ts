import { lines, operands, takers, values } from './case-arms.ts';
import type { CompletedWord, CompletionModel, Words } from './model.ts';
import { NAMES_WORD } from './names.ts';

/** For zsh 5: a file `_wherry` in a folder of $fpath, or to be sourced after compinit. */
export function zshCompletion(model: CompletionModel): string {
  return `#compdef wherry
# Made by: wherry completion zsh

_wherry_takes() {
  case "$1:$2" in
${lines(takers(model))}
    *) return 1 ;;
  esac
}

_wherry_names() {
  local -a names
  names=(\${(f)"$("\${words[1]}" ${NAMES_WORD} "$1" 2>/dev/null)"})
  (( \${#names} )) && compadd -a names
}

_wherry() {
  local command= noun= word last= operands=0
  local -i i
  local -a choice
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    last=
    if [[ $word == -* ]]; then
      _wherry_takes "$command" "$word" && { last=$word; ((i++)) }
      continue
    fi
    if [[ -z $command && -z $noun ]]; then
      case $word in
        ${Object.keys(model.verbs).join('|')}) noun=$word ;;
        *) command=$word ;;
      esac
    elif [[ -z $command ]]; then command="$noun $word"
    else ((operands++)); fi
  done
  if [[ -n $last && $i -gt $CURRENT ]]; then
    case "$command:$last" in
${lines(values(model, action))}
    esac
    return
  fi
  if [[ \${words[CURRENT]} == -* ]]; then
    case $command in
${lines(model.commands.map(({ name, options }) => `${quoted(name)}) choice=(${described(optionWords(options))}) ;;`))}
    esac
    choice+=(${described(optionWords(model.global))})
    _describe -o option choice
  elif [[ -z $command && -z $noun ]]; then
    choice=(${described(model.first)})
    _describe command choice
  elif [[ -z $command ]]; then
    case $noun in
${lines(Object.entries(model.verbs).map(([noun, verbs]) => `${noun}) choice=(${described(verbs)}) ;;`))}
    esac
    _describe verb choice
  else
    case "$command:$operands" in
${lines(operands(model, action))}
    esac
  fi
}

if [[ $funcstack[1] == _wherry ]]; then _wherry "$@"; else compdef _wherry wherry; fi
`;
}

function action(words: Words): string | undefined {
  switch (words.kind) {
    case 'fixed':
      return `compadd ${words.words.join(' ')}`;
    case 'names':
      return `_wherry_names ${words.of}`;
    case 'files':
      return '_files';
    case 'folders':
      return '_files -/';
    case 'none':
      return undefined;
  }
}

const optionWords = (options: CompletionModel['global']): CompletedWord[] =>
  options.flatMap(({ spellings, help }) => spellings.map((word) => ({ word, summary: help })));
/** `_describe` reads "word:what". */
const described = (words: CompletedWord[]): string =>
  words.map(({ word, summary }) => quoted(`${word}:${summary.replaceAll(':', '\\:')}`)).join(' ');
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
