import { delegatedObject, metadataObject, TIMESTAMP_OBJECT } from '../../protocol/objects.ts';
import { parseRole, type RoleName, roleText, type SignedRole } from '../../protocol/tuf.ts';
import type { Database } from '../store/tables.ts';
import type { SignedText } from './trust.ts';

const TOP_LEVEL = ['root', 'targets', 'snapshot', 'timestamp'];

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

/** The newest trusted metadata of every role that targets delegate to, or once did, with its text as it was signed. */
export async function latestDelegated(db: Database): Promise<Map<string, SignedText<'targets'>>> {
  const rows = await db
    .selectFrom('repositoryRoles')
    .selectAll()
    .where('role', 'not in', TOP_LEVEL)
    .orderBy('role')
    .execute();
  const found = new Map<string, SignedText<'targets'>>();
  for (const { role, version } of rows) {
    const text = await metadataText(db, nameOf(role, version));
    if (text !== undefined) found.set(role, { metadata: parseRole('targets', text, role), text });
  }
  return found;
}

/** Names of the objects of delegated roles. */
export const metadataNames = (delegated: ReadonlyMap<string, SignedText<'targets'>>): string[] =>
  [...delegated].map(([role, { metadata }]) => nameOf(role, metadata.signed.version));

/** Puts a verified role in force. `text` is kept as it was signed, when it came from outside. */
export async function putRole(
  db: Database,
  role: string,
  metadata: SignedRole<RoleName>,
  text: string = roleText(metadata as SignedRole<'targets'>),
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

function nameOf(role: string, version: number): string {
  if (role === 'timestamp') return TIMESTAMP_OBJECT;
  if (role === 'root' || role === 'targets' || role === 'snapshot') return metadataObject(role, version);
  const name = delegatedObject(role, version);
  if (name === undefined)
    throw new Error(`Cannot keep metadata of role "${role}": no object can have its name`);
  return name;
}
