import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentStatus } from '../../agent/local-api/ports.ts';
import { until } from '../support/until.ts';
import { BoardBench } from './board-bench.ts';

const FOREVER = 'trap "exit 0" TERM; while :; do sleep 1 & wait $!; done';
const shell = { args: ['/bin/sh', '-c', FOREVER] };
const SERVICES = { one: shell, two: shell };
/** A system has a hundred MiB, and a board on a busy machine needs minutes for what takes it half a minute else. */
const SETTLE_MS = 900_000;

let bench: BoardBench;

const settled = (phase: string, version: string): Promise<AgentStatus> =>
  bench.untilStatus(
    `${version} to be ${phase}`,
    ({ update }) => update.phase === phase && update.release?.version === version,
    SETTLE_MS,
  );
const words = async (): Promise<string[]> => (await bench.sh('cat /proc/cmdline')).split(' ');
const bootId = (): string => bench.board.bootId ?? '';

beforeAll(async () => {
  bench = await BoardBench.create([]);
  await bench.boot({ timeoutMs: 400_000 });
  await until(() => bench.isOnline(), { timeoutMs: 120_000, what: 'the board to enrol' });
}, 900_000);
afterAll(() => bench?.close());

test('a release that brings the system which runs is taken without a reboot', async () => {
  const before = bootId();
  await bench.release('1.0', SERVICES, { system: await bench.systemWith('1.0.0') });
  await settled('committed', '1.0');
  expect(await words()).toContain('wherry.slot=a');
  expect(bootId()).toBe(before);
}, 1_200_000);

test('a system that comes up is committed, and boots from then on', async () => {
  const before = bootId();
  await bench.release('1.1', SERVICES, { system: await bench.systemWith('1.1.0', 'test.system=1.1.0') });
  await bench.board.rebooted(before, SETTLE_MS);
  const status = await settled('committed', '1.1');
  expect(await words()).toEqual(expect.arrayContaining(['wherry.slot=b', 'test.system=1.1.0']));
  expect(status.health.boot).toMatchObject({ reason: 'requested' });
  await bench.sh('sync');
  await bench.board.cutPower();
  // The trial that follows is given less time than its release would.
  await bench.boot({ timeoutMs: 400_000, extra: ['wherry.trial-seconds=90'] });
  expect(await words()).toContain('wherry.slot=b');
  expect((await words()).some((word) => word.startsWith('wherry.trial='))).toBe(false);
}, 2_000_000);

test('one whose agent crashes falls back by itself with the whole release, which is remembered', async () => {
  const before = bootId();
  const crashing = 'systemd.setenv=NODE_OPTIONS=--require=/absent';
  await bench.release('1.2', SERVICES, { system: await bench.systemWith('1.2.0', crashing) });
  await bench.board.rebooted(before, SETTLE_MS);
  const trial = bootId();
  expect(await words()).toEqual(expect.arrayContaining(['wherry.slot=a', crashing]));
  await bench.board.rebooted(trial, SETTLE_MS);
  const status = await settled('rolled_back', '1.2');
  expect(await words()).toEqual(expect.arrayContaining(['wherry.slot=b', 'test.system=1.1.0']));
  expect(status.current?.version).toBe('1.1');
  expect(status.services.map(({ state }) => state)).toEqual(['running', 'running']);
  expect(status.update.reason?.message).toContain('was not committed in the time it was given');
}, 2_000_000);
