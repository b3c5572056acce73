import type { Call, Command } from '../command.ts';
import { bashCompletion } from '../completion/bash.ts';
import { fishCompletion } from '../completion/fish.ts';
import { type CompletionModel, completionModel } from '../completion/model.ts';
import { zshCompletion } from '../completion/zsh.ts';
import { EXIT } from '../exit-codes.ts';

export const SHELLS: Record<string, (model: CompletionModel) => string> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export const completion: Command = {
  name: 'completion',
  summary: 'completions for bash, zsh or fish',
  description:
    'Prints what makes a shell complete commands, options, and the names of services, channels, leases, secrets and ' +
    'post-mortems that the running agent knows. With no agent there are no names, and no complaint.',
  operands: ['shell'],
  choices: { shell: Object.keys(SHELLS) },
  options: {},
  examples: [
    { command: 'source <(wherry completion bash)', what: 'in this shell' },
    { command: 'wherry completion zsh > "${fpath[1]}/_wherry"', what: 'for good' },
    { command: 'wherry completion fish | source', what: 'in this shell' },
  ],
  run,
};

async function run({ operands, isJson, print, printJson }: Call): Promise<number> {
  const shell = operands[0] ?? '';
  // The list of commands holds this one.
  const { COMMANDS } = await import('./index.ts');
  const script = SHELLS[shell]?.(completionModel(COMMANDS)) ?? '';
  if (isJson) await printJson({ shell, script });
  else await print([script.trimEnd()]);
  return EXIT.ok;
}
