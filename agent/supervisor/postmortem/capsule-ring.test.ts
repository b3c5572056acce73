import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CapsuleContent } from './capsule.ts';
import { CapsuleRing } from './capsule-ring.ts';
import { CAPSULE_LIMITS } from './core/fit-capsule.ts';

let root: string;
let folder: string;
let errors: unknown[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wherry-capsules-'));
  folder = join(root, 'capsules');
  errors = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const ring = () => new CapsuleRing(folder, (error) => errors.push(error));
const line = (text: string) => ({ at: 1, stream: 'stderr' as const, text });
const content = (change: Partial<CapsuleContent> = {}): CapsuleContent => ({
  at: 1_700_000_000_000,
  kind: 'crash',
  service: 'camera',
  release: 'demo 1.0.0',
  reasons: [{ code: 'exit.code', message: 'Its process exited with code 3', at: 1 }],
  exit: { code: 3 },
  log: [line('cannot open /dev/video0')],
  ...change,
});

test('a capsule is read back by another agent, newest first in the list', async () => {
  const first = await ring().add(content());
  const second = await ring().add(content({ service: 'web', at: 1_700_000_001_000 }));
  expect(ring().list()).toMatchObject([
    { id: second, service: 'web' },
    {
      id: first,
      service: 'camera',
      kind: 'crash',
      release: 'demo 1.0.0',
      message: 'Its process exited with code 3',
    },
  ]);
  expect(ring().read(first ?? '')).toEqual({ v: 1, id: first, ...content() });
});

test('at most 32 are kept and the oldest go, also when the clock stands still or goes back', async () => {
  const own = ring();
  const ids: (string | undefined)[] = [];
  for (let count = 0; count < 40; count++)
    ids.push(await own.add(content({ at: 1_700_000_000_000 - (count % 3) })));
  expect(own.list().map(({ id }) => id)).toEqual(ids.slice(-32).toReversed());
});

test('one that crashes all the time does not push out what others left', async () => {
  const own = ring();
  const rare = await own.add(content({ service: 'rare' }));
  for (let count = 0; count < 40; count++) await own.add(content());
  expect(own.list()).toHaveLength(32);
  expect(own.list().at(-1)?.id).toBe(rare);
});

test('many at once are all kept', async () => {
  const own = ring();
  const ids = await Promise.all(Array.from({ length: 10 }, () => own.add(content())));
  expect(new Set(ids).size).toBe(10);
  expect(own.list()).toHaveLength(10);
});

test('whatever a service writes, a file stays within 32 KiB and all within 1 MiB', async () => {
  const own = ring();
  const message = '☃'.repeat(1024);
  const causes = Array.from({ length: 4 }, () => ({ code: 'exit.code' as const, message, at: 1 }));
  const huge = content({
    log: Array.from({ length: 500 }, (_, index) => line(`${index} ${'\u0001☃'.repeat(5_000)}`)),
    reasons: Array.from({ length: 50 }, () => ({ code: 'exit.code' as const, message, at: 1, causes })),
  });
  for (let count = 0; count < 40; count++) await own.add(huge);
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(CAPSULE_LIMITS.fileBytes);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(CAPSULE_LIMITS.totalBytes);
  expect(own.list()).not.toEqual([]);
  expect(errors).toEqual([]);
});

test('the last 50 lines are kept', async () => {
  const own = ring();
  const id = await own.add(content({ log: Array.from({ length: 80 }, (_, index) => line(`line ${index}`)) }));
  expect(own.read(id ?? '')?.log.map(({ text }) => text)).toEqual(
    Array.from({ length: 50 }, (_, index) => `line ${index + 30}`),
  );
});

test('torn, foreign and half-written files are skipped and removed', async () => {
  const good = await ring().add(content());
  writeFileSync(join(folder, '0189aaaaaaaa-web.json'), '{"v":1,"id":"0189');
  writeFileSync(join(folder, '0189aaaaaaab-web.json'), '{"v":1,"id":"other","reasons":[]}');
  writeFileSync(join(folder, '0189aaaaaaac-web.json'), 'null');
  writeFileSync(join(folder, '0189aaaaaaad-web.json.new'), '{');
  mkdirSync(join(folder, '0189aaaaaaae-web.json'));
  expect(
    ring()
      .list()
      .map(({ id }) => id),
  ).toEqual([good]);
  expect(readdirSync(folder)).toEqual([`${good}.json`]);
});

test.each(['../../etc/passwd', '', 'x', '0189aaaaaaaa-camera'])('there is no capsule %j', (id) => {
  expect(ring().read(id)).toBeUndefined();
});

test('a disk that takes nothing loses the capsule, counted, and the next that can be kept is', async () => {
  writeFileSync(folder, 'a file where the folder should be');
  const own = ring();
  expect(await own.add(content())).toBeUndefined();
  expect([own.lost, errors.length, own.list()]).toEqual([1, 1, []]);
  rmSync(folder);
  expect(await own.add(content())).toBeDefined();
});

test('the server gets the oldest first, each once, also over a restart of the agent', async () => {
  const first = await ring().add(content());
  const second = await ring().add(content({ service: 'web' }));
  const own = ring();
  expect(own.next()?.id).toBe(first);
  await own.acknowledge(first ?? '');
  expect(own.next()?.id).toBe(second);
  await ring().acknowledge(second ?? '');
  const later = ring();
  expect(later.next()).toBeUndefined();
  let calls = 0;
  later.onAdded(() => calls++);
  const third = await later.add(content());
  expect([later.next()?.id, calls, later.list().length]).toEqual([third, 1, 3]);
});

test('one that comes after the ring was lost is still sent, whatever the clock says', async () => {
  const own = ring();
  const id = await own.add(content({ at: 1_900_000_000_000 }));
  await own.acknowledge(id ?? '');
  rmSync(join(folder, `${id}.json`));
  const next = await ring().add(content({ at: 1_000 }));
  expect(ring().next()?.id).toBe(next);
});
