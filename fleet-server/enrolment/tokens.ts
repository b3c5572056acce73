import { sha256Hex } from '../../protocol/canonical.ts';
import { secretToken, uuidv7 } from '../ids.ts';
import { ProblemError } from '../problems.ts';
import { audit } from '../store/audit.ts';
import type { Database } from '../store/tables.ts';

/** Makes a token; only its hash is kept. */
export async function createEnrolmentToken(
  db: Database,
  wanted: { uses: number; expiresInSeconds: number; note?: string },
  { who, now }: { who: string; now: number },
): Promise<{ token: string; expiresAt: number }> {
  const token = secretToken();
  const expiresAt = now + wanted.expiresInSeconds * 1_000;
  await db.transaction().execute(async (transaction) => {
    const row = { tokenSha256: sha256Hex(token), usesLeft: wanted.uses, expiresAt, createdAt: now };
    await transaction
      .insertInto('enrolmentTokens')
      .values({ ...row, note: wanted.note ?? null })
      .execute();
    await audit(transaction, {
      at: now,
      who,
      action: 'enrolment-token.create',
      subject: uuidv7(now),
      detail: `${wanted.uses} uses`,
    });
  });
  return { token, expiresAt };
}

/** Takes one use, atomically: two devices cannot share the last one. Throws a ProblemError that says why not. */
export async function takeEnrolmentToken(db: Database, token: string, now: number): Promise<void> {
  const tokenSha256 = sha256Hex(token);
  const { numUpdatedRows } = await db
    .updateTable('enrolmentTokens')
    .set((row) => ({ usesLeft: row('usesLeft', '-', 1) }))
    .where('tokenSha256', '=', tokenSha256)
    .where('usesLeft', '>', 0)
    .where('expiresAt', '>', now)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) return;
  const row = await db
    .selectFrom('enrolmentTokens')
    .selectAll()
    .where('tokenSha256', '=', tokenSha256)
    .executeTakeFirst();
  if (!row)
    throw new ProblemError(
      'enrol.token-unknown',
      'Cannot enrol: the token is not known here; make a new one and use its whole join string',
    );
  if (row.expiresAt <= now)
    throw new ProblemError('enrol.token-expired', 'Cannot enrol: the token has expired; make a new one');
  throw new ProblemError('enrol.token-used-up', 'Cannot enrol: the token has no uses left; make a new one');
}
