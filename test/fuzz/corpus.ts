import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Inputs of a kind that were found to matter, by name: test/corpus/<kind>/. */
export function corpusOf(kind: string): [name: string, content: Buffer][] {
  const folder = new URL(`../corpus/${kind}/`, import.meta.url);
  if (!existsSync(folder))
    throw new Error(`Cannot read corpus ${kind}: there is no ${fileURLToPath(folder)}`);
  return readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(new URL(name, folder))]);
}
