/** docs/cli.md is the contract of the CLI: it and the code say the same, in both directions. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NOW } from '../local-api/fake-status.ts';
import { PROBLEMS } from '../local-api/problems.ts';
import { ROUTES } from '../local-api/routes.ts';
import { GLOBAL_OPTIONS } from './arguments.ts';
import { COMMANDS } from './commands/index.ts';
import type { ChaosReport } from './core/chaos.ts';
import { CLI_ERRORS, CliError } from './errors.ts';
import { openFullDevice } from './every-command.ts';
import { EXIT, EXIT_MEANINGS } from './exit-codes.ts';
import { FakeField } from './fake-field.ts';
import { FakeTerminal } from './fake-terminal.ts';
import { synopsis } from './help.ts';

const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');

/** Text from a heading to the next of its level or above. */
function section(heading: string): string {
  const level = /^#+/.exec(heading)?.[0].length ?? 0;
  const [, rest = ''] = page.split(`\n${heading}\n`);
  return rest.split(new RegExp(`^#{1,${level}} `, 'm'))[0] ?? '';
}

/** Cells of the table's rows without their back-quotes. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => /^\| (`|\d)/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

test('the commands and their synopses', () => {
  const headings = [...page.matchAll(/^### `(.*)`$/gm)].map(([, text]) => text);
  expect(headings).toEqual(COMMANDS.map(synopsis));
});

test('the options', () => {
  const globals = section('## Options of every device command');
  for (const name of Object.keys(GLOBAL_OPTIONS)) expect(globals).toContain(`--${name}`);
  for (const command of COMMANDS) {
    for (const name of Object.keys(command.options)) {
      expect(section(`### \`${synopsis(command)}\``)).toContain(`\`--${name}`);
    }
  }
});

test('the exit codes', () => {
  const listed = rows(section('## Exit codes'));
  expect(Object.fromEntries(listed.map(([code, name]) => [name, Number(code)]))).toEqual(EXIT);
  expect(
    Object.fromEntries(
      listed.map(([, name, meaning = '']) => [name, meaning.replaceAll(/\[(.*?)\]\(.*?\)/g, '$1')]),
    ),
  ).toEqual(EXIT_MEANINGS);
});

test('the error codes with their exit codes', () => {
  const listed = rows(section('## Errors')).map(([code, exit]) => [code, Number(exit)]);
  const codes = [...Object.keys(CLI_ERRORS), ...Object.keys(PROBLEMS)] as CliError['code'][];
  const thrown = codes.map((code) => [code, new CliError(code, '').exit]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(thrown));
});

test('the routes', () => {
  const listed = rows(section('## The local API')).map(([request]) => request);
  expect(listed).toEqual(ROUTES.map(({ method, path }) => `${method} ${path}`));
});

let device: Awaited<ReturnType<typeof openFullDevice>>;
beforeAll(async () => {
  device = await openFullDevice();
});
afterAll(() => device.close());

/** Every field of a document as "a.b", an array as "a[]". */
function fields(value: unknown, path = ''): string[] {
  if (Array.isArray(value))
    return value.length === 0 ? [`${path}[]`] : value.flatMap((item) => fields(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    fields(inner, path ? `${path}.${path.endsWith('addresses') ? '<segment>' : key}` : key),
  );
}

/** What a simulated device cannot be made to do: it is not to be broken. */
const report = {
  experiment: 'x',
  passed: true,
  startedAt: NOW,
  tookMs: 1,
  checks: [{ what: 'x', ok: false, ms: 1, detail: 'x' }],
} satisfies ChaosReport;
const UNBROKEN: Record<string, unknown> = {
  ...Object.fromEntries(
    COMMANDS.filter(({ name }) => /^chaos (?!undo|power-cut)/.test(name)).map(({ name }) => [name, report]),
  ),
  'chaos power-cut': { experiment: 'power-cut', result: 'begun' },
};

test.each(COMMANDS)('the JSON of wherry $name', async (command) => {
  let at = NOW;
  const terminal = new FakeTerminal({ field: new FakeField(), now: () => (at += 500) });
  await terminal.run('--json', ...device.argvOf(command));
  const printed = fields(UNBROKEN[command.name] ?? JSON.parse(terminal.stdout)).map((path) =>
    command.name === 'status' ? path.replace(/^services\[\].*/, 'services[]') : path,
  );
  const listed = rows(section(`### \`${synopsis(command)}\``)).map(([field]) => field);
  expect(listed.toSorted()).toEqual([...new Set(printed)].toSorted());
});
