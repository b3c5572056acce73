import type { Report } from '../../../../protocol/messages.ts';
import type {
  Attempt,
  DeviceDetail,
  Release,
  Rollout,
  StartRollout,
  StreamEvent,
} from '../../../rest/api.ts';
import { scheduleWords } from '../../../rollouts/core/schedule-words.ts';
import { someDevices } from './cast.ts';
import { channelsAt } from './channels.ts';
import { type MockDevice, record, runningService, summaryOf, usageAt } from './device.ts';
import { uuid } from './ids.ts';
import { advance, newAttempt } from './progress.ts';
import { someReleases } from './releases.ts';

/** The simulated fleet: what the real server would hold, in memory, moved on by `tick`. */
export class Fleet {
  readonly releases: Release[];
  readonly devices: MockDevice[];
  readonly rollouts: Rollout[] = [];
  readonly #emit: (event: StreamEvent) => void;

  constructor(now: number, emit: (event: StreamEvent) => void) {
    this.#emit = emit;
    this.releases = someReleases(now);
    this.devices = someDevices(now, this.releases);
    this.#countReleases();
    this.#pastRollout(now);
  }

  device(id: string): MockDevice | undefined {
    return this.devices.find(({ detail }) => detail.id === id);
  }

  start(wanted: StartRollout, createdBy: string, now: number): Rollout | undefined {
    const release = this.releases.find(({ id }) => id === wanted.releaseId);
    if (!release) return undefined;
    const { devices: ids, urgent } = wanted;
    const policy = { ...wanted.policy, ...(urgent && { urgent: { by: createdBy } }) };
    const attempts: Attempt[] = [];
    for (const id of ids) {
      const device = this.device(id);
      if (!device) return undefined;
      const generation = (device.detail.desired?.generation ?? 0) + 1;
      const { name, version } = release;
      device.detail.desired = { release: { id: release.id, name, version }, generation };
      attempts.push(newAttempt(device, release, generation, now));
    }
    const rollout: Rollout = {
      id: uuid(`rollout ${now}`),
      release: { id: release.id, name: release.name, version: release.version },
      state: 'running',
      createdAt: now,
      createdBy,
      ...(Object.keys(policy).length > 0 && { policy }),
      ...(policy.windows && { windows: policy.windows.map(scheduleWords) }),
      ...(wanted.egressBytesPerSecond && { egressBytesPerSecond: wanted.egressBytesPerSecond }),
      attempts,
    };
    this.rollouts.unshift(rollout);
    this.#emit({ kind: 'rollout', data: rollout });
    return rollout;
  }

  makeUrgent(id: string, by: string): Rollout | undefined {
    const rollout = this.rollouts.find((each) => each.id === id);
    if (!rollout) return undefined;
    rollout.policy = { ...rollout.policy, urgent: { by } };
    this.#emit({ kind: 'rollout', data: rollout });
    return rollout;
  }

  tick(now: number): void {
    for (const rollout of this.rollouts.filter(({ state }) => state === 'running')) this.#move(rollout, now);
    for (const device of this.devices) if (device.detail.isOnline) this.#report(device, now);
  }

  #move(rollout: Rollout, now: number): void {
    const release = this.releases.find(({ id }) => id === rollout.release.id);
    if (!release) return;
    rollout.attempts = rollout.attempts.map((attempt) => {
      const device = this.device(attempt.device);
      if (!device) return attempt;
      const next = advance(attempt, device, { release, policy: rollout.policy ?? {}, now });
      if (next.state === 'committed' && attempt.state !== 'committed')
        install(device, release, next.generation, now);
      return next;
    });
    if (rollout.attempts.every(({ state }) => state === 'committed' || state === 'rejected'))
      rollout.state = 'completed';
    this.#countReleases();
    this.#emit({ kind: 'rollout', data: rollout });
  }

  #report(device: MockDevice, now: number): void {
    const { detail } = device;
    detail.lastSeenAt = now;
    if (detail.report) {
      detail.report = {
        ...detail.report,
        ...this.#channels(detail, now),
        at: now,
        sequence: detail.report.sequence + 1,
        device: {
          ...detail.report.device,
          load1: Math.round((0.5 + 0.3 * Math.sin(now / 40_000)) * 100) / 100,
        },
        services: detail.report.services.map((service) =>
          service.usage
            ? {
                ...service,
                usage: {
                  ...service.usage,
                  ...usageAt(now, service.name, service.budget.memoryMaxBytes, service.budget.cpuMax),
                },
              }
            : service,
        ),
      };
      this.#emit({ kind: 'device-report', data: { id: detail.id, report: detail.report } });
    }
    this.#emit({ kind: 'device', data: summaryOf(device) });
  }

  #channels({ report }: DeviceDetail, now: number): Pick<Report, 'channels'> {
    const release = this.releases.find(({ manifestSha256 }) => manifestSha256 === report?.current?.manifest);
    if (!report?.channels || !release?.channels) return {};
    return { channels: channelsAt(now, release.channels, report.services) };
  }

  #countReleases(): void {
    for (const release of this.releases) {
      release.deviceCount = this.devices.filter(
        ({ detail: { current } }) => current?.name === release.name && current.version === release.version,
      ).length;
    }
  }

  #pastRollout(now: number): void {
    const [, release] = this.releases;
    if (!release) return;
    const at = now - 25 * 3_600_000;
    const attempts = this.devices
      .filter(({ detail }) => detail.id.startsWith('gauge') && detail.isOnline)
      .map(
        (device): Attempt => ({
          ...newAttempt(device, release, 3, at),
          state: 'committed',
          progress: { doneBytes: 6_291_456, totalBytes: 6_291_456, reusedBytes: 90_177_536 },
          updatedAt: at + 200_000,
        }),
      );
    const { id, name, version } = release;
    this.rollouts.push({
      id: uuid('past rollout'),
      release: { id, name, version },
      state: 'completed',
      createdAt: at,
      createdBy: 'admin',
      attempts,
    });
  }
}

function install(device: MockDevice, release: Release, generation: number, now: number): void {
  const { name, version, manifestSha256: manifest } = release;
  const { detail } = device;
  detail.current = { name, version, generation };
  detail.services = { total: release.services.length, running: release.services.length };
  if (detail.report) {
    const services = release.services.map((service) => ({ ...runningService(now, service), since: now }));
    detail.report = {
      ...detail.report,
      generation,
      current: { name, version, manifest, generation },
      services,
      ...(release.channels && { channels: channelsAt(now, release.channels, services) }),
    };
  }
  record(device, now, {
    kind: 'update',
    code: 'update.committed',
    release: `${name} ${version}`,
    message: 'Every service stayed up for the soak time',
  });
}
