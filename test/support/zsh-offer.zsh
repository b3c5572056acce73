# zsh completes only while a line is edited: one is, in a terminal of its own, with what is offered printed as OFFER:word.
# zsh -f zsh-offer.zsh <completion> <line>
zmodload zsh/zpty
file=$1; line=$2
zpty z zsh -f -i
zpty -w z "autoload -Uz compinit && compinit -u -d $HOME/.zcompdump; source $file
offer () {
  compadd () { local -a kept; builtin compadd -O kept \"\$@\"; print -rl -- '' \"\${(@)kept/#/OFFER:}\" }
  _main_complete
  print -r -- '<END>'
}
zle -C offer complete-word offer; bindkey '^T' offer; print -r -- SET''UP"
zpty -r z seen '*SETUP*'
zpty -n -w z "$line"$'\C-t'
zpty -r z seen '*<END>*'
print -r -- "$seen"
zpty -d z
