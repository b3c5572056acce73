import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Answer, type Ask, checkAsk, checkMore, type More } from '../../protocol/remote.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import { until } from '../../test/support/until.ts';
import { Remote } from './remote.ts';

const signal = new AbortController().signal;
const record = () => Promise.resolve();

let now: number;
let asks: Ask[];
let mores: More[];
let changed: string[];
let remote: Remote;

beforeEach(() => {
  now = 1_000_000;
  [asks, mores, changed] = [[], [], []];
  remote = new Remote({
    broker: () => ({
      isOpen: () => true,
      send: async (_device, session, channel, payload, qos) => {
        if (session !== 'control' || qos !== 0) throw new Error(`sent on ${session} with QoS ${qos}`);
        const checked =
          channel === 'ask' ? checkAsk(JSON.parse(`${payload}`)) : checkMore(JSON.parse(`${payload}`));
        if (!checked.ok) throw new Error(checked.faults.join('; '));
        if (channel === 'ask') asks.push(checked.value as Ask);
        else mores.push(checked.value as More);
        return true;
      },
    }),
    onChange: (device) => void changed.push(device),
    now: () => now,
    log: pino({ level: 'silent' }),
    times: { answerMs: 60, graceMs: 10 },
  });
  remote.abilitiesTold(
    'cam',
    Buffer.from(JSON.stringify({ v: 1, session: 'ab'.repeat(16), at: 500, actions: ['logs'] })),
  );
});

afterEach(() => remote.closed('cam', 'control'));

const logs = () =>
  remote.ask('cam', {
    by: 'ada',
    wish: { action: 'logs', service: 'web', logs: { tail: 0, follow: true } },
    record,
    signal,
  });
const answer = (body: Omit<Answer, 'v'>) =>
  remote.answered('cam', Buffer.from(JSON.stringify({ v: 1, ...body })));
const asked = () => until(() => asks.at(-1), { what: 'an ask' });

test('a device that does not answer in time is told from one, and told to stop', async () => {
  await expect(logs()).rejects.toMatchObject({
    code: 'remote.lost',
    message: expect.stringMatching(/in time$/),
  });
  expect(mores).toEqual([{ v: 1, id: asks[0]?.id, end: true }]);
});

test('the time that a request holds for is by the device’s clock, which each report corrects', async () => {
  now += 1_000;
  logs().catch(() => {});
  expect((await asked()).expiresAt).toBe(1_500 + REMOTE_LIMITS.askMs);
  remote.clockSeen('cam', 9_000_000);
  asks.length = 0;
  logs().catch(() => {});
  expect((await asked()).expiresAt).toBe(9_000_000 + REMOTE_LIMITS.askMs);
});

test('nothing is sent before it is on record', async () => {
  const failed = new Error('the disk is full');
  const ask = remote.ask('cam', {
    by: 'ada',
    wish: { action: 'logs', service: 'web', logs: { tail: 0, follow: false } },
    record: () => Promise.reject(failed),
    signal,
  });
  await expect(ask).rejects.toBe(failed);
  expect(asks).toEqual([]);
});

test('credit is given back as answers are taken, and only then', async () => {
  const begun = logs();
  const { id } = await asked();
  answer({ id, sequence: 0 });
  const { call } = await begun;
  const lines = Array.from({ length: 16 }, () => ({
    at: 1,
    stream: 'stdout' as const,
    text: 'x'.repeat(1_000),
  }));
  for (let sequence = 1; sequence <= 6; sequence++) answer({ id, sequence, lines });
  expect(mores).toEqual([]);
  for (let taken = 0; taken < 6; taken++) await call.next();
  const granted = mores.reduce((sum, { credit = 0 }) => sum + credit, 0);
  expect(granted).toBeGreaterThan(3 * 16_000);
  expect(granted).toBeLessThanOrEqual(6 * 17_000 + 100);
});

test('a lost session for answers ends what was begun, and not what waits for its first answer', async () => {
  const first = logs();
  answer({ id: (await asked()).id, sequence: 0 });
  const { call } = await first;
  asks.length = 0;
  const second = logs();
  const { id } = await asked();
  remote.closed('cam', 'bulk');
  expect(call.end).toMatchObject({ code: 'lost' });
  answer({ id, sequence: 0 });
  expect((await second).call.end).toBeUndefined();
  remote.closed('cam', 'control');
  expect((await second).call.end).toMatchObject({ code: 'lost' });
  expect(remote.actions('cam')).toBeNull();
  expect(changed).toEqual(['cam', 'cam']);
});

test('whoever leaves before the answer begins has the device stop', async () => {
  const gone = new AbortController();
  const ask = remote.ask('cam', {
    by: 'ada',
    wish: { action: 'logs', service: 'web' },
    record,
    signal: gone.signal,
  });
  const { id } = await asked();
  gone.abort();
  await expect(ask).rejects.toMatchObject({ code: 'remote.lost' });
  expect(mores).toEqual([{ v: 1, id, end: true }]);
});

test('so many in a minute, and then no more for its rest', async () => {
  for (let count = 0; count < REMOTE_LIMITS.asksPerMinute; count++) {
    const ask = logs();
    const { id } = await asked();
    asks.length = 0;
    answer({ id, sequence: 0, end: { code: 'done', message: '' } });
    await ask;
  }
  await expect(logs()).rejects.toMatchObject({ code: 'remote.busy' });
});
