import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import type { Database } from '../store/tables.ts';

/** 32 MiB and some 100 ms on a small machine. */
const COST: ScryptOptions = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const KEY_BYTES = 32;

const derive = (password: string, salt: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, COST, (error, key) => (error ? reject(error) : resolve(key)));
  });

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `scrypt$${salt.toString('base64')}$${(await derive(password, salt)).toString('base64')}`;
}

/** Takes the same time for an unknown user (no hash) as for a wrong password. */
export async function checkPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [, salt = '', key = ''] = (stored ?? `scrypt$${'A'.repeat(24)}$`).split('$');
  const found = await derive(password, Buffer.from(salt, 'base64'));
  const wanted = Buffer.alloc(KEY_BYTES);
  Buffer.from(key, 'base64').copy(wanted);
  return timingSafeEqual(found, wanted) && stored !== undefined;
}

/** The administrator of the configuration: made at the first start, and given the configured password after. */
export async function ensureAdmin(db: Database, admin: { name: string; password: string }): Promise<void> {
  const row = await db
    .selectFrom('users')
    .select('passwordHash')
    .where('name', '=', admin.name)
    .executeTakeFirst();
  if (await checkPassword(admin.password, row?.passwordHash)) return;
  const passwordHash = await hashPassword(admin.password);
  await db
    .insertInto('users')
    .values({ name: admin.name, passwordHash, role: 'admin' })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ passwordHash, role: 'admin' }))
    .execute();
}
