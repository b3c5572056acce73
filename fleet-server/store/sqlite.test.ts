import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { MIGRATIONS, migrate } from './migrations.ts';
import { openSqlite } from './sqlite.ts';

test('migrating twice changes nothing', async () => {
  const db = await openSqlite(':memory:');
  await migrate(db);
  const { rows } = await sql<{ version: number }>`select version from schemaVersion`.execute(db);
  expect(rows).toEqual([{ version: MIGRATIONS.length }]);
  await db.destroy();
});

test('a database of a newer program is refused', async () => {
  const db = await openSqlite(':memory:');
  await sql`update schemaVersion set version = 999`.execute(db);
  await expect(migrate(db)).rejects.toThrow('its schema is version 999');
  await db.destroy();
});
