import type { CompletedOption, CompletionModel, Words } from './model.ts';

/** How a shell offers words; undefined where there is nothing to offer. */
type Action = (words: Words) => string | undefined;

/** Arms of a `case "$command:$option"` in bash and zsh: the options whose next word is their value. */
export const takers = (model: CompletionModel): string[] =>
  patternsOf(model).flatMap(({ pattern, value }) => (value ? [`${pattern}) ;;`] : []));

/** Arms of the same `case`: what that value is. */
export const values = (model: CompletionModel, action: Action): string[] =>
  patternsOf(model).flatMap(({ pattern, value }) => {
    const act = value && action(value);
    return act ? [`${pattern}) ${act} ;;`] : [];
  });

/** Arms of a `case "$command:$operands"`, by how many arguments stand before. */
export function operands({ commands, tools }: CompletionModel, action: Action): string[] {
  const own = commands.flatMap(({ name, operands: all, isRepeated }) =>
    all.flatMap((words, index) => {
      const act = action(words);
      const isEndless = isRepeated && index === all.length - 1;
      const pattern = isEndless ? `'${name}:'*` : `'${name}:${index}'`;
      return act ? [`${pattern}) ${act} ;;`] : [];
    }),
  );
  return [...own, ...tools.map((tool) => `${tool}:*) ${action({ kind: 'files' })} ;;`)];
}

function patternsOf({ commands, global }: CompletionModel): (CompletedOption & { pattern: string })[] {
  const own = commands.flatMap(({ name, options }) =>
    options.map((option) => ({
      ...option,
      pattern: option.spellings.map((spelling) => `'${name}:${spelling}'`).join('|'),
    })),
  );
  const all = global.map((option) => ({
    ...option,
    pattern: option.spellings.map((spelling) => `*:${spelling}`).join('|'),
  }));
  return [...own, ...all];
}

export const lines = (arms: string[]): string => arms.map((arm) => `      ${arm}`).join('\n');
