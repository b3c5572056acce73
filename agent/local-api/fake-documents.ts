import type { Capsule } from '../supervisor/postmortem/capsule.ts';
import { fakeService, fakeStatus, NOW } from './fake-status.ts';
import type { Inspection } from './inspection.ts';
import type { AgentStatus } from './ports.ts';

const MiB = 1024 ** 2;
const pressure = (some: number) => ({ some, full: 0 });

export const fakeInspection: Inspection = {
  service: 'web',
  state: 'running',
  since: NOW - 190 * 60_000,
  release: 'demo 1.0.0',
  specDigest: 'c'.repeat(64),
  kind: 'container',
  runtime: 'crun',
  criticality: 'high',
  user: { uid: 1000, gid: 1000, hostIds: { first: 231_072, count: 65_536 } },
  budgets: [
    { what: 'memory max', asked: '32 MiB', held: '32 MiB', used: '12.4 MiB' },
    { what: 'cpu max', asked: '0.5 cores', held: '0.5 cores' },
    { what: 'open files', asked: '1024' },
  ],
  degraded: [{ what: 'memoryHighBytes', why: 'cgroup v1 has no memory.high' }],
  loosenings: ['is reached from outside at *:8080/tcp, its port 80', 'may read the device /dev/rtc0'],
  network: {
    mode: 'segments',
    segments: [{ name: 'front', isInternal: true, aliases: ['www'], address: '10.88.1.2' }],
    ports: ['*:8080/tcp to 80'],
  },
  health: {
    check: 'GET port 80 /healthz each 10 s, 3 failures in a row restart it',
    state: 'unhealthy',
    detail: 'HTTP 500',
  },
  dependsOn: [{ service: 'sensor', until: 'healthy' }],
  restart: 'always, after 1 s to 1 m',
  stop: 'SIGTERM, then SIGKILL after 10 s',
  devices: ['/dev/rtc0 (read)'],
  secrets: ['token at /run/secrets/token'],
  mounts: ['volume data at /data, 64 MiB'],
  channels: ['subscribes to frames, 8 x 1 MiB lossy, 8.1 MiB of its own'],
  logs: { keptBytes: 3 * MiB, droppedBytes: 4096 },
};

export const fakeCapsule: Capsule = {
  v: 1,
  id: '019aa5f2c800-web',
  at: NOW - 95_000,
  kind: 'oom',
  service: 'web',
  release: 'demo 1.0.0',
  specDigest: 'c'.repeat(64),
  reasons: [
    {
      code: 'exit.oom',
      message: 'Ran out of its memory budget and was killed after 25.0 s',
      at: NOW - 95_000,
      causes: [{ code: 'start.retry', message: 'Start 2 after a wait of 4 s', at: NOW - 120_000 }],
    },
  ],
  exit: { code: 137, signal: 9 },
  budget: { memoryMaxBytes: 32 * MiB, cpuMax: 0.5, pidsMax: 32 },
  usage: {
    memoryBytes: 31 * MiB,
    cpu: 0.4,
    pids: 3,
    throttledMs: 0,
    memoryPeakBytes: 32 * MiB,
    memoryHighEvents: 12,
  },
  oomKills: 1,
  oomKilled: { pid: 970, command: 'httpd' },
  device: {
    memoryAvailableBytes: 700 * MiB,
    memoryPressure: pressure(12.4),
    ioPressure: pressure(3),
    cpuPressure: pressure(20),
    temperatureCelsius: 61.5,
  },
  log: [
    { at: NOW - 96_000, stream: 'stdout', text: 'listening' },
    { at: NOW - 95_500, stream: 'stderr', text: 'cache is full' },
  ],
  bootId: 'boot-1',
};

/** A status in which every field is there. */
export function fullStatus(): AgentStatus {
  const cause = { code: 'retry.source' as const, message: 'Later', at: NOW };
  const reason = { ...cause, causes: [cause] };
  const status = fakeStatus();
  const flags = ['under-voltage' as const];
  return {
    ...status,
    link: { ...status.link, detail: 'why' },
    update: {
      phase: 'fetching',
      since: NOW,
      release: status.current,
      progress: { doneBytes: 0, totalBytes: 1, reusedBytes: 0 },
      reason,
    },
    services: [
      fakeService('web', {
        reason,
        kind: 'wasm',
        criticality: 'high',
        health: { state: 'unhealthy', since: NOW, detail: 'HTTP 500' },
        isThrottled: true,
        degraded: [{ what: 'memoryHighBytes', why: 'cgroup v1 has no memory.high' }],
        usage: {
          memoryBytes: MiB,
          cpu: 0.1,
          pids: 2,
          throttledMs: 0,
          memoryPeakBytes: MiB,
          memoryHighEvents: 1,
          memoryPressure: pressure(1),
          ioPressure: pressure(1),
          cpuPressure: pressure(1),
          ioReadBytes: 1,
          ioWrittenBytes: 1,
          networkReceivedBytes: 1,
          networkSentBytes: 1,
          diskBytes: 1,
          volumeBytes: 1,
        },
        logs: { keptBytes: 1, droppedBytes: 1 },
        addresses: { front: '10.88.1.2' },
      }),
    ],
    health: {
      ...status.health,
      memoryPressure: pressure(12.4),
      ioPressure: pressure(3),
      cpuPressure: pressure(20),
      throttling: { now: flags, sinceBoot: ['under-voltage', 'throttled'] },
      storage: {
        writtenBytes: 12_400 * MiB,
        writtenBytesPerDay: 300 * MiB,
        lifeUsedPercent: 20,
        daysLeft: 2000,
      },
      clock: { state: 'unsynchronised' },
      boot: { id: 'boot-1', reason: 'lost-power', at: NOW },
      shedding: { level: 2, reason },
      faults: [reason],
    },
  };
}
