/**
 * A ring among names that depend on each other, its first name again at its end; undefined when there is none.
 * Names that the graph does not hold depend on nothing. The same graph gives the same ring.
 */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const cleared = new Set<string>();
  for (const start of [...graph.keys()].sort()) {
    const found = walk(graph, start, [], cleared);
    if (found) return found;
  }
  return undefined;
}

function walk(
  graph: ReadonlyMap<string, readonly string[]>,
  name: string,
  path: readonly string[],
  cleared: Set<string>,
): string[] | undefined {
  if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
  if (cleared.has(name)) return undefined;
  for (const next of [...(graph.get(name) ?? [])].sort()) {
    const found = walk(graph, next, [...path, name], cleared);
    if (found) return found;
  }
  cleared.add(name);
  return undefined;
}
