import { beforeEach, expect, test } from 'vitest';
import type { PostMortem } from '../../protocol/post-mortem.ts';
import { FakeClock } from '../supervisor/fake-clock.ts';
import type { PostMortemQueue } from './ports.ts';
import { PostMortemPump } from './post-mortem-pump.ts';

const capsule = (digit: number, change: object = {}): PostMortem => ({
  v: 1,
  id: `00000000000${digit}-web`,
  at: digit,
  kind: 'crash',
  service: 'web',
  reasons: [],
  log: [],
  ...change,
});

let clock: FakeClock;
let kept: PostMortem[];
let sent: string[];
let warnings: string[];
let added: () => void;
let pump: PostMortemPump;

beforeEach(() => {
  clock = new FakeClock(0);
  kept = [];
  sent = [];
  warnings = [];
  const queue: PostMortemQueue = {
    next: () => kept[0],
    acknowledge: (id) => {
      kept = kept.filter((one) => one.id !== id);
      return Promise.resolve();
    },
    onAdded: (run) => {
      added = run;
    },
  };
  pump = new PostMortemPump({
    queue,
    send: ({ id }) => sent.push(id),
    clock,
    log: { info: () => undefined, warn: (_fields, message) => warnings.push(message) },
    times: { settleMs: 100, paceMs: 50, resendMs: 1_000 },
  });
});

test('one at a time, the next only after the one before was acknowledged, and not at once', async () => {
  kept = [capsule(1), capsule(2)];
  pump.opened();
  await clock.advance(99);
  expect(sent).toEqual([]);
  await clock.advance(500);
  expect(sent).toEqual([capsule(1).id]);
  pump.acknowledged(['00000000-0000-4000-8000-000000000000', capsule(1).id]);
  await clock.advance(49);
  expect(sent).toHaveLength(1);
  await clock.advance(1);
  expect(sent).toEqual([capsule(1).id, capsule(2).id]);
  pump.acknowledged([capsule(2).id]);
  await clock.advance(10_000);
  expect(sent).toHaveLength(2);
});

test('what nobody acknowledged goes again, in the same session and in the next', async () => {
  kept = [capsule(1)];
  pump.opened();
  await clock.advance(1_100);
  expect(sent).toHaveLength(2);
  pump.closed();
  await clock.advance(10_000);
  expect(sent).toHaveLength(2);
  pump.opened();
  await clock.advance(100);
  expect(sent).toHaveLength(3);
  pump.acknowledged([capsule(1).id]);
  await clock.advance(10_000);
  expect(sent).toHaveLength(3);
});

test('one that comes while the link is up goes soon, one that comes while it is down waits', async () => {
  kept = [capsule(1)];
  added();
  await clock.advance(10_000);
  expect(sent).toEqual([]);
  pump.opened();
  await clock.advance(100);
  pump.acknowledged([capsule(1).id]);
  await clock.advance(100);
  kept = [capsule(2)];
  added();
  await clock.advance(50);
  expect(sent).toEqual([capsule(1).id, capsule(2).id]);
});

test('one that cannot be sent is told and does not hold up those after it', async () => {
  kept = [capsule(1, { unknown: 1 }), capsule(2)];
  pump.opened();
  await clock.advance(200);
  expect(sent).toEqual([capsule(2).id]);
  expect(warnings).toHaveLength(1);
});
