/** docs/cli.md shows `wherry board` as it answers, to the letter. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FakeTerminal } from '../agent/cli/fake-terminal.ts';
import { forwardOf } from './cli-run.ts';

const page = readFileSync(new URL('../docs/cli.md', import.meta.url), 'utf8');
const [, section = ''] = page.split('\n## `wherry board`\n');
const [text = ''] = section.split(/^## /m);
/** "$ wherry board …", what it answers, and its exit code where that is not 0. */
const transcripts = [...text.matchAll(/```console\n\$ wherry (.*)\n([\s\S]*?)```/g)].map(
  ([, command = '', answer = '']) => ({ command, answer }),
);

test('there is one for each verb', () => {
  const verbs = transcripts.map(({ command }) => command.split(' ')[1]);
  expect(verbs).toEqual(expect.arrayContaining(['list', 'build', 'flash', 'run']));
});

test.each(transcripts)('wherry $command', async ({ command, answer }) => {
  const terminal = new FakeTerminal();
  const code = await terminal.run(...command.split(' '));
  const said = terminal.stdout + terminal.stderr;
  expect(`${said}${code === 0 ? '' : `# exit ${code}\n`}`).toBe(answer);
});

test.each(['80', '0:80', '80:70000', 'a:b', '8080:80:1'])('a forward of %s is refused', (given) => {
  expect(() => forwardOf(given)).toThrow(`Cannot use --forward ${given}`);
});

test('a forward leads from a port of this machine to one of the board', () => {
  expect(forwardOf('8080:80')).toEqual({ hostPort: 8080, boardPort: 80 });
});
