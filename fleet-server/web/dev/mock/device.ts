import type { DeviceEvent, Report } from '../../../../protocol/messages.ts';
import type { PostMortem } from '../../../../protocol/post-mortem.ts';
import type { ReasonCode } from '../../../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../../../protocol/status.ts';
import type { DeviceDetail, DeviceMetrics, DeviceSummary, Release } from '../../../rest/api.ts';
import { channelsAt } from './channels.ts';
import { digest, uuid } from './ids.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const HOUR = 3_600_000;

export interface MockDevice {
  detail: DeviceDetail;
  events: DeviceEvent[];
  metrics: DeviceMetrics;
  postMortems: PostMortem[];
}

interface Setup {
  id: string;
  board?: string;
  platform?: string;
  release?: Release;
  isOnline?: boolean;
  lastSeenAt?: number | null;
  generation?: number;
  /** Its configuration lets programs be run. */
  exec?: boolean;
}

/** A device as the server sees it once it runs `release`; without one it has only enrolled. */
export function mockDevice(now: number, setup: Setup): MockDevice {
  const { id, release, board = 'raspberry-pi-4', platform = 'linux/arm64', generation = 3 } = setup;
  const isOnline = setup.isOnline ?? true;
  const lastSeenAt = setup.lastSeenAt === undefined ? now - 3_000 : setup.lastSeenAt;
  const report = release && firstReport(Math.round(lastSeenAt ?? now), release, generation);
  const detail: DeviceDetail = {
    id,
    board,
    platform,
    isOnline,
    lastSeenAt: lastSeenAt === null ? null : Math.round(lastSeenAt),
    enrolledAt: now - 400 * HOUR,
    desired: release
      ? { release: { id: release.id, name: release.name, version: release.version }, generation }
      : null,
    current: release ? { name: release.name, version: release.version, generation } : null,
    updatePhase: report ? 'committed' : null,
    updateReason: null,
    services: { total: report?.services.length ?? 0, running: report?.services.length ?? 0 },
    pinned: null,
    remote: isOnline ? ['logs', 'why', 'restart', 'reboot', 'bundle', ...(setup.exec ? ['exec'] : [])] : null,
    certificateExpiresAt: now + 71 * 24 * HOUR,
    certificateSha256: digest(`certificate ${id}`),
    agentVersion: setup.lastSeenAt === null ? null : '0.1.0',
    report: report ?? null,
  };
  return {
    detail,
    events: [],
    postMortems: [],
    metrics: report && isOnline ? pastMetrics(now, report.services) : { items: [] },
  };
}

function firstReport(now: number, release: Release, generation: number): Report {
  const services = release.services.map((service) => runningService(now, service));
  return {
    v: 1,
    at: now,
    sequence: 412,
    generation,
    current: { name: release.name, version: release.version, manifest: release.manifestSha256, generation },
    update: {
      phase: 'committed',
      since: now - 25 * HOUR,
      release: { name: release.name, version: release.version, manifest: release.manifestSha256, generation },
      progress: { doneBytes: 6 * MIB, totalBytes: 6 * MIB, reusedBytes: 86 * MIB },
    },
    services,
    device: health(now),
    ...(release.channels && { channels: channelsAt(now, release.channels, services) }),
  };
}

export function runningService(now: number, service: Release['services'][number]): ServiceStatus {
  const { name, memoryMaxBytes, cpuMax, pidsMax } = service;
  return {
    name,
    state: 'running',
    since: now - 25 * HOUR,
    reason: {
      code: 'start.desired',
      message: 'The release wants it and it was not running',
      at: now - 25 * HOUR,
    },
    restarts: 0,
    oomKills: 0,
    pid: 1200 + name.length,
    budget: { memoryMaxBytes, cpuMax, pidsMax },
    usage: {
      ...usageAt(now, name, memoryMaxBytes, cpuMax),
      pids: 1 + (name.length % 5),
      throttledMs: 0,
      memoryPeakBytes: Math.round(memoryMaxBytes * 0.8),
      memoryPressure: { some: 1.4, full: 0.2 },
      ioPressure: { some: 0.3, full: 0 },
      ioReadBytes: 41 * MIB,
      ioWrittenBytes: 3 * MIB,
      networkReceivedBytes: 12 * MIB,
      networkSentBytes: 7 * MIB,
      diskBytes: 2 * MIB,
      volumeBytes: 9 * MIB,
    },
    ...conditions(now)[name],
  };
}

/** Each part of a service's state is shown by one of the cast. */
function conditions(now: number): Record<string, Partial<ServiceStatus>> {
  return {
    analyser: {
      health: { state: 'healthy', since: now - 24 * HOUR },
      isThrottled: true,
      reason: {
        code: 'shed.throttled',
        message: 'It runs on less than its budget to relieve the device',
        at: now - 240_000,
        causes: [
          {
            code: 'device.shed',
            message: 'Tasks waited for memory 38 % of the last ten seconds; wanted at most 20 %',
            at: now - 250_000,
          },
          {
            code: 'start.retry',
            message: 'It exited with code 1 and was started again',
            at: now - 25 * HOUR,
          },
        ],
      },
      logs: { keptBytes: MIB, droppedBytes: 3 * MIB },
    },
    web: {
      health: { state: 'unhealthy', since: now - 90_000, detail: 'http 503 from port 8080 /up' },
      degraded: [{ what: 'io.weight', why: 'this kernel has no weight for the disk' }],
      addresses: { inner: '10.88.1.3' },
    },
  };
}

/** A smooth walk that depends only on time and name, so that history and live data join. */
export function usageAt(at: number, name: string, memoryMaxBytes: number, cpuMax: number) {
  const slow = Math.sin(at / 97_000 + name.length) + Math.sin(at / 31_000);
  const quick = Math.sin(at / 7_300) * Math.sin(at / 2_900 + name.length);
  const level = { sensor: 0.32, analyser: 0.68, web: 0.24 }[name] ?? 0.4;
  return {
    memoryBytes: Math.round(memoryMaxBytes * (level + 0.045 * slow + 0.02 * quick)),
    cpu: Math.max(0, Math.round(cpuMax * (level * 0.4 + 0.06 * slow + 0.08 * quick) * 1_000) / 1_000),
  };
}

function pastMetrics(now: number, services: readonly ServiceStatus[]): DeviceMetrics {
  const at = Array.from({ length: 90 }, (_, index) => now - (90 - index) * 10_000);
  return {
    items: services.map(({ name, budget, usage }) => {
      const past = at.map((each) => usageAt(each, name, budget.memoryMaxBytes, budget.cpuMax));
      return {
        service: name,
        at: [...at],
        memoryBytes: past.map(({ memoryBytes }) => memoryBytes),
        cpu: past.map(({ cpu }) => cpu),
        pids: at.map(() => usage?.pids ?? 1),
      };
    }),
  };
}

function health(now: number): DeviceHealth {
  return {
    uptimeMs: 12 * 24 * HOUR + 5 * HOUR,
    load1: 0.42,
    memoryTotalBytes: Math.round(1.85 * GIB),
    memoryAvailableBytes: Math.round(1.31 * GIB),
    diskTotalBytes: Math.round(29.1 * GIB),
    diskFreeBytes: Math.round(21.6 * GIB),
    agentRssBytes: Math.round(47.3 * MIB),
    temperatureCelsius: 51.6,
    memoryPressure: { some: 4.2, full: 0.6 },
    ioPressure: { some: 1.1, full: 0.4 },
    throttling: { now: [], sinceBoot: ['under-voltage'] },
    storage: { writtenBytes: 812 * GIB, writtenBytesPerDay: Math.round(1.7 * GIB), daysLeft: 2140 },
    clock: { state: 'synchronised' },
    boot: { id: 'b0', reason: 'lost-power', at: now - 12 * 24 * HOUR },
    shedding: {
      level: 1,
      reason: {
        code: 'device.shed',
        message: 'Memory is short: services of low criticality are throttled',
        at: now - 250_000,
      },
    },
  };
}

interface Happening {
  kind: DeviceEvent['kind'];
  code: ReasonCode;
  message: string;
  service?: string;
  release?: string;
}

export function record(device: MockDevice, at: number, what: Happening): void {
  const id = uuid(`${device.detail.id} ${at} ${what.code} ${what.service ?? ''}`);
  device.events.unshift({ v: 1, id, at: Math.round(at), ...what });
}

export function summaryOf({ detail }: MockDevice): DeviceSummary {
  const {
    certificateExpiresAt: _,
    certificateSha256: __,
    agentVersion: ___,
    report: ____,
    ...summary
  } = detail;
  return summary;
}
