import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AgentFolder } from '../../agent/self-update/agent-folder.ts';
import { ROOT } from '../../scripts/setup.mjs';
import type { HoldOrder } from '../support/agent-hold-child.ts';

const CHILD = join(ROOT, 'test/support/agent-hold-child.ts');
const dir = mkdtempSync(join(tmpdir(), 'wherry-choice-cuts-'));
const state = join(dir, 'state');
const folder = join(state, 'agent');
const shim = join(dir, 'shim.so');
const blobs = { pathOf: () => '', freeBytes: async () => 0 };
const holder = (running: string) => new AgentFolder({ folder, mountDir: join(dir, 'm'), running, blobs });

function program(path: string, script: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Which agent runs at the next start: a folder, or "shipped". */
function boot(env: NodeJS.ProcessEnv = process.env): string {
  const args = [join(ROOT, 'bin/choose-agent'), '999999999', '--config', join(dir, 'agent.json')];
  try {
    return execFileSync('sh', args, { encoding: 'utf8', env }).split(' ')[0]?.trim() || 'shipped';
  } catch {
    return 'cut';
  }
}

beforeAll(() => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'wherry-test', dir]);
  execFileSync('cc', [
    '-shared',
    '-fPIC',
    '-o',
    shim,
    join(ROOT, 'test/power-cut/cut-shim.c'),
    '-ldl',
    '-lpthread',
  ]);
  writeFileSync(join(dir, 'agent.json'), JSON.stringify({ stateDir: state }));
});
afterAll(() => {
  execFileSync('umount', ['-l', dir]);
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => lay({}));

function lay(files: Record<string, string>): void {
  rmSync(folder, { recursive: true, force: true });
  for (const id of ['1-x', '2-y']) program(join(folder, id, 'bin/wherry-agent'), '');
  for (const [name, line] of Object.entries(files)) writeFileSync(join(folder, name), `${line}\n`);
}

/** What the folder holds behind each thing that an agent does to it while it says which one is to run. */
async function cutsOf(order: HoldOrder): Promise<{ name: string; copy: string }[]> {
  const cuts: { name: string; copy: string }[] = [];
  const child = spawn(process.execPath, [CHILD, JSON.stringify(order)], {
    env: { ...process.env, LD_PRELOAD: shim, CUT_ROOT: state, CUT_OUT: '3', CUT_IN: '4', CUT_EAGER: '1' },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  const go = child.stdio[4] as Writable;
  for await (const name of createInterface({ input: child.stdio[3] as Readable })) {
    const copy = join(dir, `cut-${cuts.length}`);
    rmSync(copy, { recursive: true, force: true });
    cpSync(folder, copy, { recursive: true });
    cuts.push({ name, copy });
    go.write('.');
  }
  expect(await closed).toBe(0);
  return cuts;
}

/** Where the launcher is killed before the program that it calls as the `at`-th. */
const cutting = (at: number): NodeJS.ProcessEnv => {
  const bin = join(dir, 'bin');
  writeFileSync(join(dir, 'count'), '0');
  for (const name of ['sync', 'mv', 'rm'])
    program(
      join(bin, name),
      `n=$(($(cat ${dir}/count) + 1)); echo $n > ${dir}/count
[ $n = ${at} ] && kill -KILL $PPID && exit 1
PATH=\${PATH#*:} exec ${name} "$@"`,
    );
  return { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH']}` };
};

describe('cut at every write', () => {
  test.each<[string, Record<string, string>, string, { id: string; isTrial: boolean }]>([
    ['the first trial', {}, 'shipped', { id: '1-x', isTrial: true }],
    ['a trial after one that failed', { current: '2-y', failed: '1-x' }, '2-y', { id: '1-x', isTrial: true }],
    ['the first commit', { trial: '1-x 1' }, '1-x', { id: '1-x', isTrial: false }],
    ['a commit', { current: '2-y', trial: '1-x 3' }, '1-x', { id: '1-x', isTrial: false }],
    ['a rollback', { current: '2-y', trial: '1-x 1' }, '1-x', { id: '2-y', isTrial: false }],
    ['a rollback by hand', { current: '1-x' }, '1-x', { id: '2-y', isTrial: false }],
    ['a rollback to the first agent', { current: '1-x' }, '1-x', { id: 'shipped', isTrial: false }],
    [
      'what follows a trial that failed',
      { current: '2-y', failed: '1-x' },
      '2-y',
      { id: '2-y', isTrial: false },
    ],
  ])('of %s, one of the two agents runs, and says the same again', async (_what, before, running, wanted) => {
    lay(before);
    const cuts = await cutsOf({ folder, running, wanted });
    expect(cuts.length).toBeGreaterThan(0);
    console.log(`${_what}: ${cuts.length} cuts`);
    const one = [before['current'] ?? 'shipped', running, wanted.id];
    const wrong: string[] = [];
    for (const { name, copy } of cuts) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(copy, folder, { recursive: true });
      const booted = boot();
      holder(booted).hold(wanted);
      const after = boot();
      if (!one.includes(booted) || after !== wanted.id) wrong.push(`${name}: ${booted}, then ${after}`);
    }
    expect(wrong).toEqual([]);
  });

  test.each<[string, string, string[]]>([
    ['counting a try', '1-x 0', ['1-x']],
    ['counting the last try', '1-x 2', ['1-x', '2-y']],
    ['falling back', '1-x 3', ['2-y']],
  ])('of %s, the next start takes a whole agent', (_what, trial, next) => {
    let cuts = 0;
    for (let at = 1; ; at++) {
      lay({ current: '2-y', trial });
      if (boot(cutting(at)) !== 'cut') break;
      cuts++;
      const booted = boot();
      expect(next).toContain(booted);
      expect(holder(booted).failed).toBe(booted === '2-y' ? '1-x' : undefined);
    }
    console.log(`${_what}: ${cuts} cuts`);
    expect(cuts).toBeGreaterThan(2);
  });
});
