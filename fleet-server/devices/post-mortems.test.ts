import { afterEach, beforeEach, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import type { PostMortem } from '../../protocol/post-mortem.ts';
import { openSqlite } from '../store/sqlite.ts';
import type { Database } from '../store/tables.ts';
import { PostMortemStore } from './post-mortems.ts';

let db: Database;
let store: PostMortemStore;
beforeEach(async () => {
  db = await openSqlite(':memory:');
  store = new PostMortemStore(db);
});
afterEach(() => db.destroy());

const capsule = (number: number, change: object = {}): PostMortem => ({
  v: 1,
  id: `${number.toString(16).padStart(12, '0')}-web`,
  at: number,
  kind: 'crash',
  service: 'web',
  reasons: [{ code: 'exit.code', message: 'Exited with code 3 after 0.1 s', at: number }],
  exit: { code: 3 },
  log: [{ at: number, stream: 'stderr', text: 'no sensor' }],
  ...change,
});
const take = (device: string, body: unknown, at = 1) =>
  store.take(device, Buffer.from(JSON.stringify(body)), at);

test('is stored once, listed in short and read in whole, by its own device only', async () => {
  expect(await take('cam-1', capsule(1))).toEqual({ kind: 'stored', id: capsule(1).id, isNew: true });
  expect(await take('cam-1', capsule(1))).toEqual({ kind: 'stored', id: capsule(1).id, isNew: false });
  expect(await store.list('cam-1')).toEqual({
    items: [
      {
        id: capsule(1).id,
        at: 1,
        kind: 'crash',
        service: 'web',
        exit: { code: 3 },
        message: 'Exited with code 3 after 0.1 s',
      },
    ],
  });
  expect(await store.read('cam-1', capsule(1).id)).toEqual(capsule(1));
  expect(await store.read('cam-2', capsule(1).id)).toBeUndefined();
  expect(await store.list('cam-2')).toEqual({ items: [] });
});

test('of each device the last ones are kept, and no other device pays for it', async () => {
  await take('cam-2', capsule(1));
  const count = LIMITS.postMortemsKept + 5;
  for (let number = 1; number <= count; number++) await take('cam-1', capsule(number), number);
  const { items } = await store.list('cam-1');
  expect(items).toHaveLength(LIMITS.postMortemsKept);
  expect([items[0]?.at, items.at(-1)?.at]).toEqual([count, 6]);
  expect((await store.list('cam-2')).items).toHaveLength(1);
});

test('a device whose clock was set back does not lose its newest', async () => {
  for (let number = 1; number <= LIMITS.postMortemsKept; number++)
    await take('cam-1', capsule(number + 1_000), number);
  await take('cam-1', capsule(1), LIMITS.postMortemsKept + 1);
  expect((await store.list('cam-1')).items[0]?.id).toBe(capsule(1).id);
});

test.each<[string, unknown, string | undefined]>([
  ['an unknown field', capsule(1, { more: 1 }), capsule(1).id],
  ['too many bytes', capsule(1, { reasons: [], padding: 'x'.repeat(LIMITS.postMortemBytes) }), capsule(1).id],
  ['no id', { ...capsule(1), id: undefined }, undefined],
  ['an id that is a path', capsule(1, { id: '../x' }), undefined],
  ['no object', null, undefined],
])('with %s it is refused, with the id if that can be told, and nothing is stored', async (_, body, id) => {
  expect(await take('cam-1', body)).toMatchObject({ kind: 'refused', id });
  expect(await store.list('cam-1')).toEqual({ items: [] });
});
