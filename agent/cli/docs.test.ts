/** docs/cli.md is the contract of the CLI: it and the code say the same, in both directions. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeChannels, fakeMessage } from '../local-api/fake-channels-view.ts';
import { fakeCapsule, fakeInspection, fullStatus } from '../local-api/fake-documents.ts';
import { fakeEvents, fakeNet } from '../local-api/fake-events.ts';
import { NOW } from '../local-api/fake-status.ts';
import { fakePastUpdates, fakeServiceLease, fakeUpdate } from '../local-api/fake-update-documents.ts';
import { PROBLEMS } from '../local-api/problems.ts';
import { ROUTES } from '../local-api/routes.ts';
import { type LocalApi, serveLocalApi } from '../local-api/server.ts';
import { GLOBAL_OPTIONS } from './arguments.ts';
import { COMMANDS } from './commands/index.ts';
import { CLI_ERRORS, CliError } from './errors.ts';
import { EXIT } from './exit-codes.ts';
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
  const listed = rows(section('## Exit codes')).map(([code, name]) => [name, Number(code)]);
  expect(Object.fromEntries(listed)).toEqual(EXIT);
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

const BUNDLE = join(tmpdir(), `wherry-docs-${process.pid}.txt`);
let folder: string;
let api: LocalApi;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-docs-'));
  const status = fullStatus();
  const view = new FakeAgentView(status);
  view.reasons = { web: [status.services[0]?.reason ?? []].flat() };
  view.inspections = { web: fakeInspection };
  view.kept = [fakeCapsule];
  view.holds.held.set('web', { by: 'ada', why: 'x', since: NOW, until: NOW + 1 });
  view.holds.dependants = { web: ['sensor'] };
  view.holds.isUnsaved = true;
  view.events.kept = [{ ...fakeEvents[0], service: 'web' } as (typeof fakeEvents)[number]];
  view.net.shown = fakeNet;
  const { incoming } = fakeUpdate;
  const urgent = { by: 'grace' };
  view.updates.shown = { ...fakeUpdate, incoming: { ...incoming, policy: { ...incoming.policy, urgent } } };
  view.updates.past = fakePastUpdates;
  view.leases.held = [fakeServiceLease];
  view.channels.looks = [fakeChannels(0)];
  view.channels.messages = { web: [fakeMessage()] };
  view.secrets.wanted = { web: ['web'] };
  view.write('web', { at: NOW, stream: 'stdout', text: 'x' });
  api = await serveLocalApi({ view, socketPath: join(folder, 'agent.sock'), onError: () => {} });
});

afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true });
  await rm(BUNDLE, { force: true });
});

/** Every field of a document as "a.b", an array as "a[]". */
function fields(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fields(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) =>
    fields(inner, path ? `${path}.${path.endsWith('addresses') ? '<segment>' : key}` : key),
  );
}

/** Options without which a command does not run. */
const REQUIRED: Record<string, string[]> = {
  'update defer': ['--for', '2h'],
  'ipc top': ['--count', '1', '--interval', '100ms'],
  'lease take': ['--for', '2h', '--why', 'x'],
  'support-bundle': ['-o', BUNDLE],
};

test.each(COMMANDS)('the JSON of wherry $name', async (command) => {
  const terminal = new FakeTerminal({ field: new FakeField() });
  const operands = command.operands.map((name) => (name === 'id' ? fakeCapsule.id : 'web'));
  await terminal.run(
    ...command.name.split(' '),
    ...operands,
    ...(REQUIRED[command.name] ?? []),
    '--json',
    '--socket',
    join(folder, 'agent.sock'),
  );
  const printed = fields(JSON.parse(terminal.stdout)).map((path) =>
    command.name === 'status' ? path.replace(/^services\[\].*/, 'services[]') : path,
  );
  const listed = rows(section(`### \`${synopsis(command)}\``)).map(([field]) => field);
  expect(listed.toSorted()).toEqual([...new Set(printed)].toSorted());
});
