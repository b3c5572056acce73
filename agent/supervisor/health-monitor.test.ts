import { expect, test } from 'vitest';
import { serviceSpec } from '../../test/support/service-specs.ts';
import { until } from '../../test/support/until.ts';
import { FakeClock } from './fake-clock.ts';
import { HealthMonitor } from './health-monitor.ts';
import type { ObservedContainer } from './ports.ts';

const web = serviceSpec('web', {
  health: {
    check: { kind: 'tcp', port: 80 },
    intervalMs: 1000,
    timeoutMs: 300,
    retries: 1,
    startPeriodMs: 0,
    whenUnhealthy: 'report',
  },
});
const running = (pid: number): ObservedContainer[] => [
  { service: 'web', specDigest: web.digest, state: 'running', pid, startedAt: 0 },
];

function monitored(answer: (signal: AbortSignal) => Promise<string | undefined>) {
  const clock = new FakeClock();
  let changes = 0;
  let looks = 0;
  const probe = {
    probe: (_: unknown, signal: AbortSignal) => {
      looks += 1;
      return answer(signal);
    },
  };
  const monitor = new HealthMonitor(probe, clock, () => {
    changes += 1;
  });
  const seen = {
    changes: () => changes,
    looks: () => looks,
    state: () => monitor.health().get('web')?.state,
  };
  return { clock, monitor, ...seen };
}

test('a service that answers becomes healthy, and that is told once', async () => {
  const { clock, monitor, changes, looks, state } = monitored(async () => undefined);
  monitor.watch([web], running(7));
  expect(state()).toBe('starting');
  await clock.advance(1000);
  await until(() => state() === 'healthy');
  await clock.advance(1000);
  await until(() => looks() === 2);
  expect(changes()).toBe(1);
});

test('one that does not answer in time is unhealthy, and its probe is told to end', async () => {
  let signal: AbortSignal | undefined;
  const { clock, monitor, looks, state } = monitored((given) => {
    signal = given;
    return new Promise(() => undefined);
  });
  monitor.watch([web], running(7));
  await clock.advance(1000);
  await until(() => looks() === 1);
  await clock.advance(300);
  await until(() => state() === 'unhealthy');
  expect(signal?.aborted).toBe(true);
  expect(monitor.health().get('web')?.detail).toBe('No answer within 300 ms');
});

test('another process begins anew, and none is looked at once it has gone', async () => {
  const { clock, monitor, looks, state } = monitored(async () => undefined);
  monitor.watch([web], running(7));
  await clock.advance(1000);
  await until(() => state() === 'healthy');
  monitor.watch([web], running(8));
  expect(state()).toBe('starting');
  monitor.watch([web], []);
  await clock.advance(5000);
  expect([state(), looks()]).toEqual([undefined, 1]);
});
