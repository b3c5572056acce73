import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqlite } from '../store/sqlite.ts';
import type { Database } from '../store/tables.ts';
import { createEnrolmentToken, takeEnrolmentToken } from './tokens.ts';

const NOW = 1_000_000;
let db: Database;
beforeEach(async () => {
  db = await openSqlite(':memory:');
});
afterEach(() => db.destroy());

const make = (uses: number) =>
  createEnrolmentToken(db, { uses, expiresInSeconds: 60 }, { who: 'admin', now: NOW });

test('a token enrols as many devices as it says, also when they come at one time', async () => {
  const { token } = await make(2);
  const taken = await Promise.allSettled([1, 2, 3].map(() => takeEnrolmentToken(db, token, NOW)));
  expect(taken.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await expect(takeEnrolmentToken(db, token, NOW)).rejects.toMatchObject({ code: 'enrol.token-used-up' });
});

test('a token lives to the millisecond that it says, and an unknown one never', async () => {
  const { token, expiresAt } = await make(9);
  expect(expiresAt).toBe(NOW + 60_000);
  await takeEnrolmentToken(db, token, expiresAt - 1);
  await expect(takeEnrolmentToken(db, token, expiresAt)).rejects.toMatchObject({
    code: 'enrol.token-expired',
  });
  await expect(takeEnrolmentToken(db, 'x', NOW)).rejects.toMatchObject({ code: 'enrol.token-unknown' });
});

test('only the hash of a token is kept', async () => {
  const { token } = await make(1);
  const rows = [
    ...(await db.selectFrom('enrolmentTokens').selectAll().execute()),
    ...(await db.selectFrom('audit').selectAll().execute()),
  ];
  expect(rows).not.toEqual([]);
  expect(JSON.stringify(rows)).not.toContain(token);
});
