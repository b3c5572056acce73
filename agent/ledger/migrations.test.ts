import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { NOTHING_KNOWN } from '../update/core/hold.ts';
import { advance } from '../update/core/machine.ts';
import type { UpdateRecord } from '../update/core/record.ts';
import { EMPTY_RECORD } from '../update/core/record.ts';
import { MIGRATIONS, migrate } from './migrations.ts';
import { SqliteLedger } from './sqlite-ledger.ts';

/** What an older agent does not notice. A column may not be NOT NULL: the older one inserts rows without it. */
const ADDITIVE =
  /^(CREATE TABLE \w+ \([\s\S]*\) STRICT|CREATE INDEX \w+ ON [\s\S]+|ALTER TABLE \w+ ADD COLUMN (?![\s\S]*NOT NULL)[\s\S]+)$/;
const LATER = [
  `ALTER TABLE outbox ADD COLUMN urgency INTEGER; ALTER TABLE update_record ADD COLUMN note TEXT;
   CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT;`,
];
const statements = (sql: string): string[] =>
  sql
    .split(';')
    .map((text) => text.trim())
    .filter(Boolean);

test.each([...MIGRATIONS, ...LATER].flatMap(statements))('is additive: %s', (statement) => {
  expect(statement).toMatch(ADDITIVE);
});

test.each([
  'DROP TABLE outbox',
  'ALTER TABLE outbox RENAME TO o',
  'ALTER TABLE outbox ADD COLUMN a TEXT NOT NULL',
  'DELETE FROM outbox',
])('is not: %s', (statement) => expect(statement).not.toMatch(ADDITIVE));

test('an older agent goes on from what a newer one left', () => {
  const database = new Database(':memory:');
  migrate(database, [...MIGRATIONS, ...LATER]);
  const newer = new SqliteLedger(database);
  const record = {
    ...EMPTY_RECORD,
    phase: 'rolling_back',
    agent: 'x',
    novelty: { of: 'the newer' },
  } as UpdateRecord;
  const event = { kind: 'update' as const, code: 'update.committed' as const, message: 'well', at: 1 };
  newer.record(record, [event]);
  newer.services.save('web', '{}');

  migrate(database);
  const older = new SqliteLedger(database);
  expect(older.load()).toMatchObject({ phase: 'rolling_back', agent: 'x' });
  older.record(older.load(), [event]);
  older.services.save('db', '{}');
  expect(older.outbox.pending(9)).toHaveLength(2);
  expect(older.history()).toHaveLength(2);
  // What the older one does not know comes back to the newer one as it was.
  expect(new SqliteLedger(database).load()).toMatchObject({ novelty: { of: 'the newer' } });
  expect(database.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + LATER.length);
});

test('a phase that an older agent does not know leaves the committed release in force', () => {
  const record = { ...EMPTY_RECORD, phase: 'dreaming' } as unknown as UpdateRecord;
  const context = { device: 'd', board: 'b', at: 1, now: 1, facts: NOTHING_KNOWN };
  expect(advance(record, { type: 'started' }, context).effects).toEqual(['apply']);
});
