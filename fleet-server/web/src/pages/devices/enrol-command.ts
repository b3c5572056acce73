/** Quoted for a shell: the join string holds "#" and "&". */
export function enrolCommand(joinString: string): string {
  return `wherry agent --join '${joinString}'`;
}
