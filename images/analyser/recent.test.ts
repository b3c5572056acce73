import { expect, test } from 'vitest';
import { Intake, recent } from './recent.js';

const at = (...times: number[]) => times.map((time) => ({ at: time }));

test('samples from redis and from the channel make one window, each sample once, oldest first', () => {
  expect(recent(at(1, 2, 3), at(3, 4), 60)).toEqual(at(1, 2, 3, 4));
  expect(recent(at(5, 6), at(3, 4, 5), 60)).toEqual(at(3, 4, 5, 6));
  expect(recent(at(1, 2, 3), at(4), 2)).toEqual(at(3, 4));
  expect(recent([], [], 2)).toEqual([]);
});

test('an intake counts what came and what was skipped, and is fresh while something comes', () => {
  const intake = new Intake();
  expect(intake.isFresh(1_000, 500)).toBe(false);
  intake.count({ lost: 0 }, 1_000);
  intake.count({ lost: 3 }, 1_200);
  expect(intake).toMatchObject({ received: 2, lost: 3 });
  expect(intake.isFresh(1_699, 500)).toBe(true);
  expect(intake.isFresh(1_700, 500)).toBe(false);
});
