import { readFileSync } from 'node:fs';

/** What this CLI is: the version of the tree it runs from. */
export function clientVersion(): { version: string; node: string } {
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return { version, node: process.version };
}
