import { uuidv7 } from '../ids.ts';
import type { Database } from './tables.ts';

/** Records who changed what; call it in the transaction of the change. */
export async function audit(
  db: Database,
  entry: { at: number; who: string; action: string; subject: string; detail?: string },
): Promise<void> {
  await db
    .insertInto('audit')
    .values({ id: uuidv7(entry.at), detail: '', ...entry })
    .execute();
}
