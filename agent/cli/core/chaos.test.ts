import { expect, test } from 'vitest';
import { fakeStatus } from '../../local-api/fake-status.ts';
import { changedProcesses, chaosRefusal, notWhole } from './chaos.ts';

test.each([
  [{ isBoard: true, isDevelopment: true }, false, true],
  [{ isBoard: false, isDevelopment: true }, false, true],
  [{ isBoard: true, isDevelopment: false }, true, false],
  [{ isBoard: true, isDevelopment: false }, false, false],
  [{ isBoard: false, isDevelopment: false }, false, false],
  [{ isBoard: false, isDevelopment: false }, true, true],
])('%j, and said to be one: %s, may be broken: %s', (markers, saysSo, may) => {
  expect(chaosRefusal(markers, saysSo) === undefined).toBe(may);
});

test('whole is as before: the same services in the same states, the link, no new fault', () => {
  const before = fakeStatus();
  expect(notWhole(before, before)).toBeUndefined();
  const [first, ...rest] = before.services;
  if (!first) throw new Error('no service');
  expect(notWhole({ ...before, services: rest }, before)).toContain('is gone');
  const waiting = { ...first, state: 'backing_off' as const };
  expect(notWhole({ ...before, services: [waiting, ...rest] }, before)).toContain('backing off');
  const offline = { ...before, link: { ...before.link, state: 'offline' as const } };
  expect(notWhole(offline, { ...before, link: { ...before.link, state: 'connected' } })).toContain('link');
  const fault = { code: 'agent.disk-full' as const, message: 'the disk is full', at: 1 };
  const faulty = { ...before, health: { ...before.health, faults: [fault] } };
  expect(notWhole(faulty, before)).toBe('the disk is full');
  expect(notWhole(faulty, faulty)).toBeUndefined();
});

test('a process that is another one shows', () => {
  const before = fakeStatus();
  const now = {
    ...before,
    services: before.services.map((service) => ({ ...service, pid: (service.pid ?? 0) + 1 })),
  };
  const names = before.services.map(({ name }) => name);
  expect(changedProcesses(now, before)).toEqual(names);
  expect(changedProcesses(now, before, names)).toEqual([]);
});
