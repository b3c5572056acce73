import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
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
