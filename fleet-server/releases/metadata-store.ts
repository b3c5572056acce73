import { metadataObject, TIMESTAMP_OBJECT } from '../../protocol/objects.ts';
import { parseRole, type RoleName, roleText, type SignedRole } from '../../protocol/tuf.ts';
import type { Database } from '../store/tables.ts';

/** The newest trusted metadata of a role, or undefined before the first. */
export async function latestRole<R extends RoleName>(
  db: Database,
  role: R,
): Promise<SignedRole<R> | undefined> {
  const row = await db.selectFrom('repositoryRoles').selectAll().where('role', '=', role).executeTakeFirst();
  const text = row && (await metadataText(db, nameOf(role, row.version)));
  return text === undefined ? undefined : parseRole(role, text);
}

export async function versionOf(db: Database, role: RoleName): Promise<number | undefined> {
  const row = await db
    .selectFrom('repositoryRoles')
    .select('version')
    .where('role', '=', role)
    .executeTakeFirst();
  return row?.version;
}

export async function metadataText(db: Database, name: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('repositoryFiles')
    .select('text')
    .where('name', '=', name)
    .executeTakeFirst();
  return row?.text;
}

/** Puts a verified role in force. `text` is kept as it was signed, when it came from outside. */
export async function putRole<R extends RoleName>(
  db: Database,
  role: R,
  metadata: SignedRole<R>,
  text: string = roleText(metadata),
): Promise<void> {
  const { version, expires } = metadata.signed;
  await db
    .insertInto('repositoryFiles')
    .values({ name: nameOf(role, version), text })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ text }))
    .execute();
  const row = { version, expiresAt: Date.parse(expires) };
  await db
    .insertInto('repositoryRoles')
    .values({ role, ...row })
    .onConflict((conflict) => conflict.column('role').doUpdateSet(row))
    .execute();
}

const nameOf = (role: RoleName, version: number) =>
  role === 'timestamp' ? TIMESTAMP_OBJECT : metadataObject(role, version);
