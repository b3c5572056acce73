import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentFolder } from '../../agent/self-update/agent-folder.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { until } from '../support/until.ts';

/** What a power cut, a full disk or a hand may have left in a file; undefined = no file. */
type Line = string | undefined;
interface Files {
  trial: Line;
  current: Line;
  failed?: Line;
}

const dir = mkdtempSync(join(tmpdir(), 'wherry choose-'));
const folder = join(dir, 'state', 'agent');
const config = join(dir, 'agent.json');
const launcher = join(dir, 'shipped', 'bin', 'wherry-agent');
const blobs = { pathOf: () => '', freeBytes: async () => 0 };
const openFolder = (running: string) => new AgentFolder({ folder, mountDir: join(dir, 'm'), running, blobs });

function program(path: string, script: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function lay(files: Files): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const id of ['1-x', '2-y'])
    program(join(folder, id, 'bin/wherry-agent'), `echo "$WHERRY_AGENT of ${id}"`);
  mkdirSync(join(folder, 'not-executable', 'bin'), { recursive: true });
  writeFileSync(join(folder, 'not-executable', 'bin/wherry-agent'), '');
  for (const [name, line] of Object.entries(files))
    if (line !== undefined) writeFileSync(join(folder, name), line);
}

const read = (name: string): Line =>
  existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined;
const run = (...args: string[]): string => execFileSync(launcher, args, { encoding: 'utf8' }).trim();

beforeAll(() => {
  // Thousands of syncs, which a real disk would make minutes.
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'wherry-test', dir]);
  for (const name of ['wherry-agent', 'choose-agent'])
    cpSync(join(ROOT, 'bin', name), join(dir, 'shipped', 'bin', name));
  program(join(dir, 'shipped/node_modules/.bin/node'), 'echo "$WHERRY_AGENT of shipped"');
  writeFileSync(config, JSON.stringify({ name: 'd', stateDir: join(dir, 'state'), runDir: '/run/w' }));
});
afterAll(() => {
  execFileSync('umount', ['-l', dir]);
  rmSync(dir, { recursive: true, force: true });
});

const start = (): { ended: Promise<NodeJS.Signals | null> } => {
  const env = { ...process.env, WHERRY_TRIAL_SILENT_S: '2' };
  const child = spawn(launcher, ['--config', config], { stdio: 'ignore', env });
  return { ended: new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal))) };
};
const waits = (script: string): void => {
  lay({ trial: '1-x 0\n', current: undefined });
  program(join(folder, '1-x/bin/wherry-agent'), script);
};

const TRIALS: Line[] = [
  undefined,
  '',
  '\n',
  '1-x 0\n',
  '1-x 1\n',
  '1-x 2\n',
  '1-x 3\n',
  '1-x 12\n',
  '1-x\n',
  '1-x 08\n',
  '1-x -1\n',
  'gone 0\n',
  '../../shipped 0\n',
  '. 0\n',
  'not-executable 0\n',
  '\u0000\u0000\u0000',
];
const CURRENTS: Line[] = [undefined, '', '2-y\n', 'gone\n', '../2-y\n', 'not-executable\n'];
const STATES: Files[] = TRIALS.flatMap((trial) => CURRENTS.map((current) => ({ trial, current })));

describe('of every state of the files', () => {
  test.each(STATES)('one whole agent runs: %j', ({ trial, current }) => {
    lay({ trial, current });
    const said = run('--config', config);
    const tries = /^1-x ([012])\n$/.exec(trial ?? '')?.[1];
    const otherwise = current === '2-y\n' ? '2-y of 2-y' : 'shipped of shipped';
    expect(said).toBe(tries === undefined ? otherwise : '1-x of 1-x');
    expect(read('trial')).toBe(tries === undefined ? undefined : `1-x ${Number(tries) + 1}\n`);
    expect(read('failed') !== undefined).toBe(trial !== undefined && tries === undefined);
    expect(read('current')).toBe(current);
  });

  test.each(STATES)('the agent says which is to run, and that one does: %j', (state) => {
    for (const failed of [undefined, '1-x\n'])
      for (const running of ['shipped', '1-x', '2-y']) {
        for (const id of ['shipped', '1-x', '2-y']) {
          lay({ ...state, failed });
          const leaves = openFolder(running).hold({ id, isTrial: false });
          expect([read('trial'), read('failed'), read('current')]).toEqual([
            undefined,
            undefined,
            id === 'shipped' ? (state.current?.trim() ? undefined : state.current) : `${id}\n`,
          ]);
          expect(id === running && leaves).toBe(false);
        }
        lay({ ...state, failed });
        const isOther = running !== '1-x';
        expect(openFolder(running).hold({ id: '1-x', isTrial: true })).toBe(isOther);
        const now = isOther ? ['1-x 0\n', undefined] : [state.trial, failed];
        expect([read('trial'), read('failed')]).toEqual(now);
      }
  });
});

describe('bin/wherry-agent', () => {
  beforeEach(() => lay({ trial: undefined, current: '2-y\n' }));

  test('tries an agent three times and no more, then says that it failed', () => {
    lay({ trial: '1-x 0\n', current: '2-y\n' });
    const said = [1, 2, 3, 4, 5].map(() => run(`--config=${config}`));
    expect(said).toEqual(['1-x of 1-x', '1-x of 1-x', '1-x of 1-x', '2-y of 2-y', '2-y of 2-y']);
    expect(read('failed')).toBe('1-x\n');
    expect(openFolder('2-y').failed).toBe('1-x');
  });

  test('one that a cut left half written is not taken', () => {
    writeFileSync(join(folder, 'trial.new'), '1-x 0\n');
    writeFileSync(join(folder, 'current.new'), '1-');
    mkdirSync(join(folder, '.fresh/bin'), { recursive: true });
    expect(run('--config', config)).toBe('2-y of 2-y');
  });

  test.each([
    ['is not there', () => rmSync(config)],
    ['names no folder', () => writeFileSync(config, '{"stateDir":""}')],
    ['names one that is not there', () => writeFileSync(config, '{"stateDir":"/nowhere/at/all"}')],
  ])('with a configuration that %s it runs the agent it came with', (_what, spoil) => {
    const text = readFileSync(config);
    try {
      spoil();
      expect(run('--config', config)).toBe('shipped of shipped');
    } finally {
      writeFileSync(config, text);
    }
  });

  test('a trial that cannot be counted is not tried', () => {
    lay({ trial: '1-x 1\n', current: '2-y\n' });
    // Neither a file nor a way to one.
    symlinkSync('/nowhere/at/all', join(folder, 'trial.new'));
    expect(run('--config', config)).toBe('2-y of 2-y');
    expect([read('trial'), read('failed')]).toEqual(['1-x 1\n', undefined]);
  });

  test('a trial that hangs is killed', async () => {
    waits('exec sleep 30');
    expect(await start().ended).toBe('SIGKILL');
    expect(read('trial')).toBe('1-x 1\n');
  });

  test('a trial that says that it goes on is not, nor one that has become current', async () => {
    waits(`for n in 1 2 3 4 5 6 7 8; do echo $n > ${JSON.stringify(join(folder, 'beat'))}; sleep 0.5; done
rm ${JSON.stringify(join(folder, 'trial'))}; exec sleep 4`);
    expect(await start().ended).toBe(null);
    await until(() => read('trial') === undefined);
  });
});
