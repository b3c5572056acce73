import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MIGRATIONS, migrate } from '../ledger/migrations.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import { EMPTY_RECORD } from '../update/core/record.ts';
import { lookIntoLedger } from './ledger-copy.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-look-'));
  path = join(folder, 'ledger.db');
});
afterEach(() => rm(folder, { recursive: true }));

const event = { kind: 'device' as const, code: 'agent.disk-freed' as const, message: 'x', at: 1 };

test('it reads what an agent that holds the ledger has committed, and leaves its files alone', () => {
  const { ledger } = openLedger(path);
  for (let trustedTime = 1; trustedTime <= 300; trustedTime++)
    ledger.record({ ...EMPTY_RECORD, trustedTime }, [event]);
  ledger.services.save('web', '{"v":1}');
  const before = [statSync(path).mtimeMs, statSync(`${path}-wal`).mtimeMs, statSync(`${path}-wal`).size];
  const look = lookIntoLedger(path);
  expect([statSync(path).mtimeMs, statSync(`${path}-wal`).mtimeMs, statSync(`${path}-wal`).size]).toEqual(
    before,
  );
  expect(look).toMatchObject({ verdict: 'ok', contentFault: undefined, services: { web: '{"v":1}' } });
  expect([look.record?.trustedTime, look.pending.length]).toEqual([300, 300]);
  ledger.record({ ...EMPTY_RECORD, trustedTime: 301 }, []);
  expect(lookIntoLedger(path).record?.trustedTime).toBe(301);
  ledger.close();
});

test('no ledger, a damaged one, and one that was put aside before', () => {
  expect(lookIntoLedger(path)).toMatchObject({ verdict: undefined, writtenAt: undefined, record: undefined });
  writeFileSync(path, 'this is no database at all, however long it may be');
  writeFileSync(`${path}.corrupt-12`, '');
  writeFileSync(`${path}.corrupt-12-wal`, '');
  expect(lookIntoLedger(path)).toMatchObject({
    verdict: expect.stringContaining('not a database'),
    setAside: ['ledger.db.corrupt-12'],
  });
  expect(readFileSync(path, 'utf8')).toContain('this is no database');
});

test('a ledger of an older agent is read as it is', () => {
  const database = new Database(path);
  migrate(database, MIGRATIONS.slice(0, 1));
  database.close();
  expect(lookIntoLedger(path)).toMatchObject({ verdict: 'ok', events: [], history: [] });
  const untouched = new Database(path, { readonly: true });
  expect(untouched.pragma('user_version', { simple: true })).toBe(1);
  untouched.close();
});

test('a manifest that is not the one recorded', () => {
  const { ledger } = openLedger(path);
  const release = { name: 'boat', version: '1', manifest: 'a'.repeat(64), generation: 1 };
  ledger.record({ ...EMPTY_RECORD, current: { release, manifest: '{}' } }, []);
  ledger.close();
  expect(lookIntoLedger(path).contentFault).toBe('the manifest of 1 is not the one that was recorded');
});
