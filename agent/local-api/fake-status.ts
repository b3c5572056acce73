import type { ServiceStatus } from '../../protocol/status.ts';
import type { AgentStatus } from './ports.ts';

/** 2026-11-21 10:00:00 UTC: "now" on the simulated device. */
export const NOW = Date.UTC(2026, 10, 21, 10);
const MiB = 1024 ** 2;
const ago = (ms: number) => NOW - ms;
const minutes = (count: number) => count * 60_000;

export function fakeService(name: string, change: Partial<ServiceStatus> = {}): ServiceStatus {
  return {
    name,
    state: 'running',
    since: ago(minutes(190)),
    reason: {
      code: 'start.desired',
      message: 'The release wants it and it was not running',
      at: ago(minutes(190)),
    },
    restarts: 0,
    oomKills: 0,
    pid: 900,
    budget: { memoryMaxBytes: 32 * MiB, cpuMax: 0.5, pidsMax: 32 },
    usage: { memoryBytes: 13_002_342, cpu: 0.03, pids: 3, throttledMs: 0 },
    ...change,
  };
}

/** A simulated device with a link, a release and two healthy services. */
export function fakeStatus(change: Partial<AgentStatus> = {}): AgentStatus {
  return {
    agent: { version: '7.8.9', startedAt: ago(minutes(192)), pid: 812 },
    device: {
      id: 'dev-7f3a',
      board: 'raspberrypi4',
      platform: 'linux/arm64',
      tenant: 'acme',
      server: 'fleet.example:8883',
    },
    link: { state: 'connected', since: ago(minutes(191)) },
    update: { phase: 'idle', since: ago(minutes(180)) },
    current: { name: 'demo', version: '1.0.0', manifest: 'a'.repeat(64), generation: 4 },
    services: [fakeService('sensor'), fakeService('web', { pid: 960 })],
    health: {
      uptimeMs: minutes(60 * 99),
      load1: 0.42,
      memoryTotalBytes: 1900 * MiB,
      memoryAvailableBytes: 1312 * MiB,
      diskTotalBytes: 7400 * MiB,
      diskFreeBytes: 1229 * MiB,
      agentRssBytes: 58 * MiB,
      temperatureCelsius: 51.2,
    },
    ...change,
  };
}
