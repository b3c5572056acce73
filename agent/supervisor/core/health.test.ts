import { expect, test } from 'vitest';
import { type Health, newHealth, noteProbe, probeDelay } from './health.ts';

const policy = {
  check: { kind: 'tcp', port: 80 },
  intervalMs: 5000,
  timeoutMs: 1000,
  retries: 2,
  startPeriodMs: 10_000,
  whenUnhealthy: 'restart',
} as const;
const looks = (health: Health, ...all: [at: number, detail: string | undefined][]): Health =>
  all.reduce((state, [at, detail]) => noteProbe(state, policy, detail, at), health);

test('failures in the start period do not count, and looks follow each other fast', () => {
  const health = looks(newHealth(7, 0, 0), [500, 'refused'], [1000, 'refused'], [9999, 'refused']);
  expect(health).toMatchObject({ state: 'starting', failures: 0, detail: 'refused' });
  expect(probeDelay(health, policy, 9999)).toBe(500);
  expect(probeDelay(health, policy, 10_000)).toBe(5000);
});

test('a service that never comes up is unhealthy after its retries', () => {
  expect(looks(newHealth(7, 0, 0), [10_000, 'refused'])).toMatchObject({ state: 'starting', failures: 1 });
  expect(looks(newHealth(7, 0, 0), [10_000, 'refused'], [15_000, 'refused'])).toMatchObject({
    state: 'unhealthy',
    since: 15_000,
  });
});

test('once healthy, failures count even in the start period, and one success takes them back', () => {
  const healthy = looks(newHealth(7, 0, 0), [500, undefined]);
  expect(healthy).toMatchObject({ state: 'healthy', since: 500 });
  expect(looks(healthy, [1000, 'refused'], [1500, undefined], [2000, 'refused']).state).toBe('healthy');
  expect(looks(healthy, [1000, 'refused'], [1500, 'refused']).state).toBe('unhealthy');
});

test('a clock that was set back does not keep a service in its start period', () => {
  expect(looks(newHealth(7, 50_000, 50_000), [1000, 'refused'], [2000, 'refused']).state).toBe('unhealthy');
});
