import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../../test/support/until.ts';
import { FakeClock } from '../fake-clock.ts';
import { runProgram } from '../runtime/run-program.ts';
import { ClockWatch } from './clock-watch.ts';

let folder: string;
let answers: Record<string, string>;
let asked: string[];
let clock: FakeClock;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wherry-clock-'));
  answers = {};
  asked = [];
  clock = new FakeClock();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const watch = (arch = 'arm64') =>
  new ClockWatch({
    clock,
    folder,
    arch,
    runProgram: (program) => {
      asked.push(program);
      const answer = answers[program];
      return answer === undefined ? Promise.reject(new Error('not installed')) : Promise.resolve(answer);
    },
  });

test('without any program and any daemon nothing is known', async () => {
  const own = watch();
  await own.look();
  expect([own.state(), asked]).toEqual(['unknown', ['perl']]);
  await watch('riscv64').look();
  expect(asked).toEqual(['perl']);
});

test('the kernel’s word counts, and only daemons that run are asked', async () => {
  const own = watch();
  answers['perl'] = '5 64\n';
  await own.look();
  expect(own.state()).toBe('unsynchronised');
  mkdirSync(join(folder, 'chrony'));
  answers['chronyc'] = 'C0A80001,ntp.example,3,1.0,0.0,0.0,0.0,-12.3,0.0,0.0,0.0,0.0,64.2,Normal\n';
  await own.look();
  expect(own.state()).toBe('synchronised');
  answers['chronyc'] = '506 Cannot talk to daemon';
  writeFileSync(join(folder, 'ntpd.pid'), '1');
  answers['ntpq'] = 'leap=11';
  await own.look();
  expect([own.state(), new Set(asked)]).toEqual(['unsynchronised', new Set(['perl', 'chronyc', 'ntpq'])]);
});

test('systemd-timesyncd is seen at once', () => {
  mkdirSync(join(folder, 'systemd/timesync'), { recursive: true });
  const own = watch();
  expect(own.state()).toBe('unsynchronised');
  writeFileSync(join(folder, 'systemd/timesync/synchronized'), '');
  expect(own.state()).toBe('synchronised');
});

test('a clock that is free is asked for each minute, one that is held each ten', async () => {
  const own = watch();
  answers['perl'] = '5 64';
  own.start();
  await until(() => own.state() === 'unsynchronised');
  answers['perl'] = '0 0';
  await clock.advance(60_000);
  await until(() => own.state() === 'synchronised');
  await clock.advance(599_000);
  expect(asked).toHaveLength(2);
  own.stop();
  await clock.advance(600_000);
  expect(asked).toHaveLength(2);
});

test('this machine’s kernel answers', async () => {
  const own = new ClockWatch({ clock, folder, arch: process.arch, runProgram });
  await own.look();
  expect(own.state()).not.toBe('unknown');
});
