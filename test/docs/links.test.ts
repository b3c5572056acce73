import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../scripts/setup.mjs';

const documents = globSync(['*.md', 'docs/**/*.md', 'images/**/*.md', 'board-configs/*.md'], {
  cwd: ROOT,
  exclude: ['**/node_modules/**', '**/.build/**'],
});

/** Relative links, and file names of this tree in back-ticks. */
function targetsOf(document: string): string[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) =>
    join(dirname(document), target),
  );
  const files = [
    ...text.matchAll(
      /`((?:agent|fleet-server|protocol|release|images|demo|scripts|bench|test|board-configs|docs)\/[\w./-]+\.(?:ts|tsx|mjs|md|yaml))`/g,
    ),
  ].map(([, file = '']) => file);
  return [...links, ...files];
}

test.each(documents)('%s points only at what exists', (document) => {
  expect(targetsOf(document).filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
});
