import { expect, test } from 'vitest';
import type { Manifest } from '../../protocol/manifest.ts';
import { until } from '../../test/support/until.ts';
import { FakeClock } from '../supervisor/fake-clock.ts';
import { EMPTY_RECORD, type UpdateRecord } from './core/record.ts';
import { FakeSystemSlots } from './fake-system-slots.ts';
import { SystemSwitch } from './system-switch.ts';

const blob = (digit: string) => ({ verity: digit.repeat(64), size: 4096 });
const system = { version: '2.0', boards: { pi: { boot: blob('a'), root: blob('b') } } };
const brings = { system } as unknown as Manifest;
const release = { name: 'r', version: '1', manifest: 'd'.repeat(64), generation: 1 };
const DISK_GONE = new Error('EIO: i/o error');
const TRIED: UpdateRecord = {
  ...EMPTY_RECORD,
  phase: 'switching',
  system: { id: 'shipped', slot: 'a' },
  incoming: {
    release,
    manifest: '{}',
    soakMs: 1_000,
    system: { id: 'x', slot: 'b', trial: { token: 't1' } },
  },
};

function over(slots: FakeSystemSlots | undefined, record: UpdateRecord = EMPTY_RECORD) {
  const clock = new FakeClock();
  const told = { reboots: [] as string[], warnings: [] as string[], leaves: 0 };
  let fault: Error | undefined;
  const systems = new SystemSwitch({
    slots,
    board: 'pi',
    boot: { id: 'boot-1', reason: 'clean' },
    token: () => 't9',
    clock,
    log: { info: () => undefined, warn: (_fields, message) => told.warnings.push(message) },
    heldMs: 5_000,
    record: () => record,
    reboot: async (reason) => {
      if (fault) throw fault;
      told.reboots.push(reason);
    },
    onLeave: () => told.leaves++,
  });
  const fail = (next: Error | undefined) => {
    fault = next;
  };
  return { systems, clock, told, fail };
}

test('what a release brings goes to the slot that does not run, unless it runs already', async () => {
  const slots = new FakeSystemSlots();
  const { systems } = over(slots);
  expect(await systems.place(brings)).toEqual({ ok: true, slot: 'b' });
  expect(slots.written).toHaveLength(1);
  slots.held.a = slots.held.b;
  expect(await systems.place(brings)).toEqual({ ok: true, slot: 'a' });
  expect(slots.written).toHaveLength(1);
  expect(await systems.place({} as Manifest)).toEqual({ ok: true, slot: undefined });
});

test('a board without slots, or whose disk does not take it, refuses the release', async () => {
  expect(await over(undefined).systems.place(brings)).toMatchObject({ ok: false, code: 'refused.system' });
  const slots = new FakeSystemSlots();
  slots.fault = DISK_GONE;
  expect(await over(slots).systems.place(brings)).toMatchObject({ ok: false, message: DISK_GONE.message });
});

test('the board is told before it reboots, and nothing else happens in this boot', async () => {
  const slots = new FakeSystemSlots();
  const { systems, told } = over(slots, TRIED);
  expect(systems.turn(() => expect.unreachable())).toBe(false);
  await until(() => told.leaves === 1);
  expect(slots.status().trial).toMatchObject({ slot: 'b', token: 't1', wasTried: false });
  expect([told.reboots, told.leaves]).toEqual([['Tries system x in slot b'], 1]);
  slots.reboot();
  expect(over(slots, TRIED).systems.turn(() => undefined)).toBe(true);
});

test('a disk or a reboot that fails is tried again, and services wait for it', async () => {
  const slots = new FakeSystemSlots();
  const { systems, clock, told, fail } = over(slots, TRIED);
  slots.fault = DISK_GONE;
  systems.turn(() => expect.unreachable());
  await until(() => told.warnings.length === 1);
  expect([systems.isHeld, told.reboots.length]).toEqual([true, 0]);
  slots.fault = undefined;
  fail(new Error('reboot: not found'));
  await clock.advance(5_000);
  await until(() => told.warnings.length === 2);
  expect([slots.status().trial?.token, told.leaves]).toEqual(['t1', 0]);
  fail(undefined);
  await clock.advance(5_000);
  await until(() => told.leaves === 1);
  expect(told.reboots).toHaveLength(1);
});

test('at the commit the board is told without a reboot, and what follows waits for that', async () => {
  const slots = new FakeSystemSlots();
  await slots.tryOnce({ slot: 'b', token: 't1' });
  slots.reboot();
  const committed: UpdateRecord = { ...EMPTY_RECORD, phase: 'committed', system: { id: 'x', slot: 'b' } };
  const { systems, clock, told } = over(slots, committed);
  let after = 0;
  slots.fault = DISK_GONE;
  expect(systems.turn(() => after++)).toBe(false);
  await until(() => told.warnings.length === 1);
  expect([after, systems.isHeld]).toEqual([0, true]);
  slots.fault = undefined;
  await clock.advance(5_000);
  await until(() => after === 1);
  expect([systems.isHeld, told.reboots.length]).toEqual([false, 0]);
  expect(slots.status()).toMatchObject({ booted: 'b', active: 'b' });
  expect(slots.status().trial).toBeUndefined();
});

test('a rollback that was overtaken by another decision does not reboot', async () => {
  const slots = new FakeSystemSlots();
  let record = TRIED;
  const told = { reboots: [] as string[] };
  const overtaken = new SystemSwitch({
    slots,
    board: 'pi',
    boot: { id: 'boot-1', reason: 'clean' },
    token: () => 't9',
    clock: new FakeClock(),
    log: { info: () => undefined, warn: () => undefined },
    heldMs: 5_000,
    record: () => record,
    reboot: async (reason) => {
      told.reboots.push(reason);
    },
    onLeave: () => undefined,
  });
  overtaken.turn(() => expect.unreachable());
  record = { ...EMPTY_RECORD, phase: 'fetching' };
  expect(overtaken.turn(() => undefined)).toBe(true);
  await overtaken.stop();
  expect(told.reboots).toEqual([]);
});
