/** What every command keeps to, also those that are yet to be written. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMMANDS } from './commands/index.ts';
import { openFullDevice } from './every-command.ts';
import { EXIT } from './exit-codes.ts';
import { FakeField } from './fake-field.ts';
import { FakeTerminal } from './fake-terminal.ts';
import type { Io } from './io.ts';

let device: Awaited<ReturnType<typeof openFullDevice>>;
beforeEach(async () => {
  device = await openFullDevice();
});
afterEach(() => device.close());

const ESCAPE = String.fromCharCode(0x1b);
const READS_INPUT = ['secret put', 'enrol'];

async function run(argv: string[], change: Partial<Io> = {}) {
  const terminal = new FakeTerminal({ field: new FakeField(), ...change });
  const code = await terminal.run(...argv);
  return { code, terminal };
}

/** Documents, one a line or one in all. */
function documentsIn(text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch {
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  }
}

test.each(COMMANDS)('with --json the output of $name is JSON and nothing else', async (command) => {
  const { code, terminal } = await run(['--json', ...device.argvOf(command)], {
    isTTY: true,
    columns: 80,
  });
  expect(documentsIn(terminal.stdout).length).toBeGreaterThan(0);
  expect(terminal.stdout).not.toContain(ESCAPE);
  expect(Object.values<number>(EXIT)).toContain(code);
});

test.each(COMMANDS)('$name with --json and no agent tells its failure as JSON', async (command) => {
  await device.agentDown();
  const { code, terminal } = await run(['--json', ...device.argvOf(command)]);
  const [document] = documentsIn(terminal.stdout);
  const isTold = /"error":\{"code"|"faults"|"checks"/.test(JSON.stringify(document));
  expect(code === 0 || isTold).toBe(true);
});

test.each(COMMANDS)('$name with --json and a mistyped option tells so as JSON', async (command) => {
  const { code, terminal } = await run([...command.name.split(' '), '--no-such-option', '--json']);
  expect([code, documentsIn(terminal.stdout)]).toEqual([
    EXIT.usage,
    [{ error: expect.objectContaining({ code: 'usage' }) }],
  ]);
});

/** ECMA-48 §8.3.117: what colours. A live view may still move the cursor. */
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`);

test.each([
  { env: { NO_COLOR: '1' }, unwanted: COLOUR },
  { env: { TERM: 'dumb' }, unwanted: new RegExp(ESCAPE) },
])('no command colours with $env', async ({ env, unwanted }) => {
  for (const command of COMMANDS) {
    const change = { isTTY: true, columns: 80, env: { USER: 'ada', ...env } };
    const { terminal } = await run(device.argvOf(command), change);
    expect([command.name, unwanted.test(terminal.seen)]).toEqual([command.name, false]);
  }
});

test('no command colours when its output is no terminal', async () => {
  for (const command of COMMANDS) {
    const { terminal } = await run(device.argvOf(command));
    expect([command.name, terminal.seen.includes(ESCAPE)]).toEqual([command.name, false]);
  }
});

test('no command but those that are given something reads its standard input', async () => {
  for (const command of COMMANDS.filter(({ name }) => !READS_INPUT.includes(name))) {
    let hasRead = false;
    const stdin = new Readable({
      read() {
        hasRead = true;
        this.push(null);
      },
    });
    await run(device.argvOf(command), { stdin: Object.assign(stdin, { isTTY: true }) });
    expect([command.name, hasRead]).toEqual([command.name, false]);
  }
});

test.each(READS_INPUT)('%s does not wait at a terminal: it says what it wants', async (name) => {
  const never = Object.assign(new Readable({ read: () => undefined }), { isTTY: true });
  const argv = [...name.split(' '), ...(name === 'secret put' ? ['token'] : [])];
  const { code } = await run(argv, { stdin: never });
  expect(code).toBe(EXIT.usage);
});

/** A command for every exit code. A code that is added wants a line here. */
const ENDS_WITH: Record<keyof typeof EXIT, () => Promise<number>> = {
  ok: async () => (await run(argvOf('status'))).code,
  failed: async () => (await run(argvOf('why').with(1, 'nobody'))).code,
  usage: async () => (await run(['lease', 'take'])).code,
  unreachable: async () => (await run(['status', '--socket', join(device.folder, 'none')])).code,
  refused: async () => {
    device.view.updates.refusal = { code: 'update-refused', refused: 'Cannot roll back: below the floor' };
    return (await run(argvOf('update rollback'))).code;
  },
  tryAgain: async () => {
    device.view.enrolment.refusal = { code: 'enrol-failed', refused: 'Cannot reach it' };
    return (await run(argvOf('enrol'))).code;
  },
  interrupted: async () => {
    const terminal = new FakeTerminal();
    terminal.stop.abort();
    return terminal.run(...argvOf('status'));
  },
};

const argvOf = (name: string): string[] => {
  const command = COMMANDS.find((each) => each.name === name);
  if (!command) throw new Error(`no command ${name}`);
  return device.argvOf(command);
};

test('every documented exit code is produced', async () => {
  const produced: Record<string, number> = {};
  for (const [name, produce] of Object.entries(ENDS_WITH)) produced[name] = await produce();
  expect(produced).toEqual(EXIT);
});

test('a stick without a bundle, and no stick at all', async () => {
  const media = {
    classBlock: join(device.folder, 'none'),
    mountinfo: '/dev/null',
    mountDir: join(device.folder, 'media'),
  };
  mkdirSync(media.classBlock);
  const { code, terminal } = await run([...argvOf('update apply').toSpliced(2, 1), '--json'], { media });
  expect([code, JSON.parse(terminal.stdout)]).toMatchObject([
    EXIT.failed,
    { error: { code: 'no-release-bundle' } },
  ]);
});
