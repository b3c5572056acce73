/** The image's own /etc/passwd and /etc/group. */
export interface Accounts {
  passwd: string;
  group: string;
}

export type UserFound = { ok: true; uid: number; gid: number } | { ok: false; fault: string };

/** Nobody's and everybody's unprivileged account, as distroless images number it. */
export const NONROOT = { uid: 65532, gid: 65532 } as const;

const MAX_ID = 4294967294;

/**
 * "uid", "uid:gid", "name" or "name:group" by OCI image-spec config.md, `User`: names are the image's own; without a
 * group it is the account's, and 0 for a uid that has no account.
 */
export function findUser(text: string, accounts: Accounts): UserFound {
  const [user = '', group] = text.split(':');
  const account = rows(accounts.passwd).find(
    (row) => row[0] === user || (isNumber(user) && Number(row[2]) === Number(user)),
  );
  const uid = isNumber(user) ? Number(user) : idOf(account?.[2]);
  if (uid === undefined) return { ok: false, fault: `user "${user}" is not in the image's /etc/passwd` };
  if (uid > MAX_ID) return { ok: false, fault: `user ${user} is too large; wanted at most ${MAX_ID}` };
  if (group === undefined) return { ok: true, uid, gid: idOf(account?.[3]) ?? 0 };
  const gid = isNumber(group)
    ? Number(group)
    : idOf(rows(accounts.group).find((row) => row[0] === group)?.[2]);
  if (gid === undefined) return { ok: false, fault: `group "${group}" is not in the image's /etc/group` };
  if (gid > MAX_ID) return { ok: false, fault: `group ${group} is too large; wanted at most ${MAX_ID}` };
  return { ok: true, uid, gid };
}

/** What an image's user text means when nobody overrides it: nothing, "root" and 0 are all root. */
export const isRootText = (text: string): boolean => /^(?:|root|0+)(?::.*)?$/.test(text);

const rows = (file: string): string[][] => file.split('\n').map((line) => line.split(':'));
const isNumber = (text: string): boolean => /^[0-9]+$/.test(text);
const idOf = (text: string | undefined): number | undefined =>
  text !== undefined && isNumber(text) ? Number(text) : undefined;
