import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { findCycle, withoutCycles } from './dependency-order.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const graphs = fc
  .array(fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES)), { maxLength: 14 })
  .map((edges) => {
    const graph = new Map<string, string[]>();
    for (const [from, to] of edges) graph.set(from, [...(graph.get(from) ?? []), to]);
    return graph;
  });

test('a cycle is told in the order in which its services depend on each other', () => {
  const graph = new Map([
    ['web', ['api']],
    ['api', ['db', 'cache']],
    ['cache', ['api']],
  ]);
  expect(findCycle(graph)).toEqual(['api', 'cache']);
  expect(findCycle(new Map([['a', ['a']]]))).toEqual(['a']);
});

test('every cycle found is one, and where none is found the services can be put in order', () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const cycle = findCycle(graph);
      if (cycle) {
        for (const [index, name] of cycle.entries()) {
          assert.ok(graph.get(name)?.includes(cycle[(index + 1) % cycle.length] as string));
        }
        return;
      }
      const placed = new Set<string>();
      for (let round = 0; round < NAMES.length; round++) {
        for (const name of NAMES) if ((graph.get(name) ?? []).every((to) => placed.has(to))) placed.add(name);
      }
      assert.equal(placed.size, NAMES.length);
    }),
  );
});

test('without its cycles a graph keeps every edge that lies on none', () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const left = withoutCycles(graph);
      assert.equal(findCycle(left), undefined);
      if (findCycle(graph) === undefined) assert.deepEqual(left, graph);
    }),
  );
});
