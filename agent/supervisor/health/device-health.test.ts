import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { deviceHealth } from './device-health.ts';

const sys = mkdtempSync(join(tmpdir(), 'wherry-health-'));
afterAll(() => rmSync(sys, { recursive: true, force: true }));

test('this machine has memory, a disk and an agent of some size', () => {
  const health = deviceHealth({ stateDir: sys, sys });
  expect(health.uptimeMs).toBeGreaterThan(0);
  expect(health.memoryTotalBytes).toBeGreaterThan(health.memoryAvailableBytes);
  expect(health.diskTotalBytes).toBeGreaterThanOrEqual(health.diskFreeBytes);
  expect(health.agentRssBytes).toBeGreaterThan(10 * 1024 ** 2);
  expect(health).not.toHaveProperty('temperatureCelsius');
});

test('the hottest of the zones that can be read counts', () => {
  for (const [zone, temperature] of [
    ['thermal_zone0', '41000\n'],
    ['thermal_zone1', '58250\n'],
  ] as const) {
    mkdirSync(join(sys, 'class/thermal', zone), { recursive: true });
    writeFileSync(join(sys, 'class/thermal', zone, 'temp'), temperature);
  }
  mkdirSync(join(sys, 'class/thermal/thermal_zone2'));
  expect(deviceHealth({ stateDir: sys, sys }).temperatureCelsius).toBe(58.25);
});
