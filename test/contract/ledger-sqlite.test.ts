import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EVENTS_KEPT } from '../../agent/ledger/event-ring.ts';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { FakeHoldMemory } from '../../agent/supervisor/fake-hold-memory.ts';
import type { HoldMemory } from '../../agent/supervisor/service-holds.ts';
import { EMPTY_RECORD } from '../../agent/update/core/record.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { checkEvent } from '../../protocol/messages.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wherry-ledger-'));
  path = join(folder, 'ledger.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const event = (message: string) => ({
  at: 1,
  kind: 'service' as const,
  code: 'exit.code' as const,
  message,
  service: 'web',
});

test('a record and its events are there after the file is opened again', () => {
  const { ledger } = openLedger(path);
  const record = { ...EMPTY_RECORD, phase: 'soaking' as const, bad: ['x'] };
  ledger.record(record, [event('one')]);
  ledger.services.save('web', 'memory');
  ledger.close();
  const again = openLedger(path).ledger;
  expect(again.load()).toEqual(JSON.parse(JSON.stringify(record)));
  const [held] = again.outbox.pending(5);
  expect(checkEvent(held)).toMatchObject({ ok: true, value: { message: 'one' } });
  expect(again.services.load()).toEqual({ web: 'memory' });
  again.services.forget('web');
  expect(again.services.load()).toEqual({});
  again.close();
});

test('events keep their order until they are acknowledged', () => {
  const { ledger } = openLedger(path);
  for (const message of ['one', 'two', 'three']) ledger.outbox.add(event(message));
  const [first] = ledger.outbox.pending(1);
  ledger.outbox.acknowledge([first?.id ?? '', 'unknown']);
  expect(ledger.outbox.pending(9).map(({ message }) => message)).toEqual(['two', 'three']);
  ledger.close();
});

test('a full outbox drops the oldest and counts them', () => {
  const { ledger } = openLedger(path);
  const many = Array.from({ length: LIMITS.outboxEvents + 2 }, (_, index) => event(String(index)));
  ledger.record(EMPTY_RECORD, many);
  expect(ledger.outbox.pending(LIMITS.outboxEvents + 9)).toHaveLength(LIMITS.outboxEvents);
  expect(ledger.outbox.pending(1)[0]?.message).toBe('2');
  expect(ledger.outbox.dropped()).toBe(2);
  ledger.close();
});

test.each([
  ['not a database', Buffer.alloc(8192, 'rubbish ')],
  ['a header and then rubbish', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8192, 0xa5)])],
])('a corrupt file is put aside, not a crash: %s', (_what, content) => {
  writeFileSync(path, content);
  const { ledger, quarantined } = openLedger(path);
  expect(quarantined).toContain('.corrupt-');
  expect(ledger.load()).toEqual(EMPTY_RECORD);
  ledger.close();
  expect(openLedger(path).quarantined).toBeUndefined();
});

const said = (message: string) => ({
  at: 1,
  kind: 'update' as const,
  code: 'update.offered' as const,
  message,
});

test('the last hundred events of updates are kept when the server has them', () => {
  const { ledger } = openLedger(path);
  for (let count = 1; count <= 103; count++) ledger.record(EMPTY_RECORD, [said(`${count}`), event('other')]);
  ledger.outbox.acknowledge(ledger.outbox.pending(500).map(({ id }) => id));
  ledger.close();
  const again = openLedger(path).ledger;
  const messages = again.history().map(({ message }) => message);
  expect([messages.length, messages[0], messages.at(-1)]).toEqual([100, '103', '4']);
  again.close();
});

test.each([
  ['in memory', () => new FakeHoldMemory()],
  ['in the ledger', () => openLedger(path).ledger.holds],
])('stops by hand %s: the newest of each service, until it is ended', (_where, open) => {
  const memory: HoldMemory = open();
  memory.change('web', 'first', event('stopped'));
  memory.change('api', 'other', event('stopped'));
  memory.change('web', 'second', undefined);
  expect(memory.load()).toEqual({ web: 'second', api: 'other' });
  memory.change('web', undefined, event('started'));
  memory.change('gone', undefined, event('started'));
  expect(memory.load()).toEqual({ api: 'other' });
});

test('a stop by hand and its event are both kept, or neither', () => {
  const { ledger } = openLedger(path);
  ledger.holds.change('web', 'held', event('stopped'));
  ledger.holds.change('api', 'held', event('stopped'));
  ledger.holds.change('api', undefined, event('started'));
  const unwritable = { ...event('x'), at: 1n } as unknown as ReturnType<typeof event>;
  expect(() => ledger.holds.change('web', undefined, unwritable)).toThrow('BigInt');
  ledger.close();
  const again = openLedger(path).ledger;
  expect(again.holds.load()).toEqual({ web: 'held' });
  expect(again.events.list({ limit: 9 }).map(({ event: { message } }) => message)).toEqual([
    'stopped',
    'stopped',
    'started',
  ]);
  again.close();
});

test('what happened is still known when the server has it, by time, service and number', () => {
  const { ledger } = openLedger(path);
  for (const at of [1, 2, 3]) {
    ledger.outbox.add({ ...event(`web ${at}`), at });
    ledger.outbox.add({ at, kind: 'device', code: 'lease.taken', message: `device ${at}` });
  }
  ledger.record(EMPTY_RECORD, [said('an update')]);
  ledger.outbox.acknowledge(ledger.outbox.pending(500).map(({ id }) => id));
  const messages = (query: Parameters<typeof ledger.events.list>[0]) =>
    ledger.events.list(query).map((kept) => kept.event.message);
  expect(messages({ limit: 99 })).toHaveLength(7);
  expect(messages({ limit: 2, service: 'web' })).toEqual(['web 2', 'web 3']);
  expect(messages({ limit: 99, since: 3 })).toEqual(['web 3', 'device 3']);
  const [last] = ledger.events.list({ limit: 1 });
  ledger.outbox.add(event('later'));
  expect(ledger.events.after(last?.sequence ?? 0).map((kept) => kept.event.message)).toEqual(['later']);
  ledger.close();
});

test('no more is kept of what happened than a number of rows and of bytes, the newest', () => {
  const { ledger } = openLedger(path);
  const spare = 64;
  const keep = (count: number, message: (index: number) => string): boolean =>
    ledger.record(
      EMPTY_RECORD,
      Array.from({ length: count }, (_each, index) => event(message(index))),
    );
  keep(EVENTS_KEPT.rows + 3 * spare, String);
  const small = ledger.events.list({ limit: 1e6 });
  expect(small.length).toBeGreaterThanOrEqual(EVENTS_KEPT.rows);
  expect(small.length).toBeLessThan(EVENTS_KEPT.rows + spare);
  keep(6 * spare, () => 'ü'.repeat(1_000));
  const large = ledger.events.list({ limit: 1e6 });
  const bytes = large.reduce((sum, kept) => sum + Buffer.byteLength(JSON.stringify(kept.event)), 0);
  expect(bytes).toBeLessThan(EVENTS_KEPT.bytes + spare * 2_200);
  expect(large.every((kept) => kept.event.message.startsWith('ü'))).toBe(true);
  ledger.close();
});

test('an event costs the disk five pages of 4 KiB at most, in one commit', () => {
  const { ledger } = openLedger(path);
  const wal = (): number => statSync(`${path}-wal`).size;
  for (let count = 0; count < 100; count++) ledger.outbox.add(event(`${count}`));
  const before = wal();
  for (let count = 0; count < 100; count++) ledger.outbox.add(event(`${count}`));
  const pages = (wal() - before) / 4_120;
  console.log(`${(pages / 100).toFixed(2)} pages an event`);
  expect(pages / 100).toBeLessThan(5);
  expect(pages).toBeGreaterThan(100);
  ledger.close();
});
