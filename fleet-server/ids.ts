import { randomBytes } from 'node:crypto';

/** UUIDv7 (RFC 9562 §5.7): sorts by time, so keyset cursors and B-tree inserts stay local. */
export function uuidv7(now: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 256 random bits, safe in a URL, a cookie and a join string. */
export const secretToken = (): string => randomBytes(32).toString('base64url');
