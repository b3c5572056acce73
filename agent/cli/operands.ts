/** An argument as a command declares it: "service", "folder?" may be left out, "service..." one or more, "word*" any. */
export interface Operand {
  name: string;
  isOptional: boolean;
  isRepeated: boolean;
}

export const operandOf = (declared: string): Operand => ({
  name: declared.replace(/(?:\?|\*|\.\.\.)$/, ''),
  isOptional: /[?*]$/.test(declared),
  isRepeated: /(?:\*|\.\.\.)$/.test(declared),
});

/** "<service>", "[folder]", "<service>...", "[word]...". */
export function operandText(declared: string): string {
  const { name, isOptional, isRepeated } = operandOf(declared);
  return `${isOptional ? `[${name}]` : `<${name}>`}${isRepeated ? '...' : ''}`;
}
