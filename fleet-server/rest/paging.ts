import { Type } from 'typebox';

/** Keyset paging: `cursor` is what the page before gave as `next`. */
export const PageQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 500, default: 100 }),
  cursor: Type.String({ maxLength: 64, default: '' }),
});

/** `rows` holds one more than `limit` when there is a next page. */
export function pageOf<T>(rows: T[], limit: number, keyOf: (row: T) => string) {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? keyOf(last) : null };
}
