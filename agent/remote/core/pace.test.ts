import { expect, test } from 'vitest';
import { afterSending, type Pace, waitMs } from './pace.ts';

test('without credit nothing goes; what the last message went over is made up for first', () => {
  const pace = afterSending({ credit: 100, paidAt: 0 }, 150, 0, 1000);
  expect(pace.credit).toBe(-50);
  expect(waitMs(pace, 60_000)).toBeUndefined();
  expect(waitMs({ ...pace, credit: 1 }, 60_000)).toBe(0);
});

test('over a long time no more goes than the rate, whatever the credit; a burst after a silence is small', () => {
  let pace: Pace = { credit: Number.POSITIVE_INFINITY, paidAt: 0 };
  let [now, sent] = [100_000, 0];
  while (now < 110_000) {
    now += waitMs(pace, now) ?? 0;
    pace = afterSending(pace, 100, now, 1000);
    sent += 100;
  }
  expect(sent).toBeGreaterThanOrEqual(10_000);
  expect(sent).toBeLessThanOrEqual(10_000 + 250 + 2 * 100);
});
