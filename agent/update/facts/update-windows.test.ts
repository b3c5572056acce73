import { beforeAll, expect, test } from 'vitest';
import { UpdateWindows } from './update-windows.ts';

const windows = new UpdateWindows();
const nightly = [{ schedule: '0 2 * * *', minutes: 90 }];
const local = (day: number, hour: number, minute = 0) => new Date(2026, 4, day, hour, minute).getTime();

beforeAll(() => windows.load());

test('a window is open from its opening for its minutes, in local time', () => {
  expect(windows.state(nightly, local(5, 2))).toEqual({ isOpen: true, opensAt: undefined });
  expect(windows.state(nightly, local(5, 3, 29)).isOpen).toBe(true);
  expect(windows.state(nightly, local(5, 3, 30)).isOpen).toBe(false);
  expect(windows.state(nightly, local(5, 1, 59)).isOpen).toBe(false);
});

test('the next opening of all windows is told', () => {
  const both = [...nightly, { schedule: '0 12 * * *', minutes: 10 }];
  expect(windows.state(both, local(5, 4))).toEqual({ isOpen: false, opensAt: local(5, 12) });
  expect(windows.state(both, local(5, 13))).toEqual({ isOpen: false, opensAt: local(6, 2) });
});

test('a schedule that cannot be read, or never comes, keeps closed; none at all is always open', () => {
  expect(windows.state([{ schedule: '99 2 * * *', minutes: 5 }], local(5, 2))).toEqual({
    isOpen: false,
    opensAt: undefined,
  });
  expect(windows.state(undefined, local(5, 2)).isOpen).toBe(true);
  expect(new UpdateWindows().state(nightly, local(5, 2)).isOpen).toBe(false);
});
