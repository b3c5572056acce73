/** What each service depends on, by name. Names that are no key are leaves. */
export type DependencyGraph = ReadonlyMap<string, readonly string[]>;

/** Services that depend on each other in a ring, in order, the first one not repeated; undefined when there is none. */
export function findCycle(graph: DependencyGraph): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): string[] | undefined => {
    if (done.has(name)) return undefined;
    const seenAt = path.indexOf(name);
    if (seenAt >= 0) return path.slice(seenAt);
    path.push(name);
    for (const next of graph.get(name) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const cycle = visit(name);
    if (cycle) return cycle;
  }
  return undefined;
}

/** The graph without the edges that lie on a ring: what is left has an order. */
export function withoutCycles(graph: DependencyGraph): Map<string, string[]> {
  return new Map([...graph].map(([from, next]) => [from, next.filter((to) => !leadsTo(graph, to, from))]));
}

function leadsTo(graph: DependencyGraph, from: string, to: string): boolean {
  const seen = new Set<string>();
  const queue = [from];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === to) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    queue.push(...(graph.get(name) ?? []));
  }
  return false;
}
