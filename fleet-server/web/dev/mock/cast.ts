import type { Release } from '../../../rest/api.ts';
import { channelsAt } from './channels.ts';
import { type MockDevice, mockDevice, record } from './device.ts';
import { somePostMortems } from './post-mortems.ts';
import { windowReason } from './progress.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** One device for each thing the pages must be able to show. */
export function someDevices(now: number, releases: readonly Release[]): MockDevice[] {
  const find = (name: string, version: string) => {
    const found = releases.find((release) => release.name === name && release.version === version);
    if (!found) throw new Error(`Cannot build the cast: no release ${name} ${version}`);
    return found;
  };
  const v1 = find('river-gauge', '1.1.0');
  const v0 = find('river-gauge', '1.0.0');
  const devices = [
    mockDevice(now, { id: 'gauge-01', release: v1, exec: true }),
    mockDevice(now, { id: 'gauge-02', release: v1 }),
    refusing(mockDevice(now, { id: 'gauge-03', release: v1 }), now, find('river-gauge', '1.2.0')),
    mockDevice(now, { id: 'gauge-04', release: v1, board: 'raspberry-pi-3' }),
    failing(mockDevice(now, { id: 'gauge-05', release: v1 }), now, v1),
    mockDevice(now, {
      id: 'gauge-06',
      release: v0,
      isOnline: false,
      lastSeenAt: now - 9.3 * HOUR,
      generation: 2,
    }),
    waiting(mockDevice(now, { id: 'gauge-07', release: v1 }), now, find('river-gauge', '1.2.0')),
    pinned(mockDevice(now, { id: 'gauge-08', release: v0, generation: 2 }), now),
    mockDevice(now, {
      id: 'lock-a',
      board: 'generic-amd64',
      platform: 'linux/amd64',
      release: find('lock-gate', '0.3.1'),
    }),
    mockDevice(now, { id: 'spare-with-a-rather-long-device-name', lastSeenAt: now - 40_000 }),
  ];
  for (const device of devices) firstEvents(device, now);
  // Its agent is of the version before.
  for (const { detail } of devices.filter(({ detail }) => detail.id === 'gauge-03')) detail.remote = null;
  return devices;
}

function firstEvents(device: MockDevice, now: number): void {
  const { current, report } = device.detail;
  if (!current || !report) return;
  const release = `${current.name} ${current.version}`;
  const at = now - 25 * HOUR;
  const old = device.events.splice(0);
  record(device, at, {
    kind: 'update',
    code: 'update.offered',
    release,
    message: 'was assigned by the server',
  });
  for (const { name } of report.services) {
    record(device, at + 40_000, {
      kind: 'service',
      code: 'start.desired',
      service: name,
      message: 'The release wants it and it was not running',
    });
  }
  record(device, at + 100_000, {
    kind: 'update',
    code: 'update.committed',
    release,
    message: 'Every service stayed up for the soak time',
  });
  device.events.unshift(...old);
}

function waiting(device: MockDevice, now: number, wanted: Release): MockDevice {
  const { detail } = device;
  const reason = windowReason(now - 50 * MINUTE);
  const { id, name, version, manifestSha256: manifest } = wanted;
  detail.desired = { release: { id, name, version }, generation: 4 };
  detail.updatePhase = 'waiting';
  detail.updateReason = reason;
  if (detail.report) {
    detail.report.update = {
      phase: 'waiting',
      since: reason.at,
      release: { name, version, manifest, generation: 4 },
      progress: { doneBytes: 19_300_000, totalBytes: 19_300_000, reusedBytes: 78_200_000 },
      reason,
    };
  }
  const { code, message } = reason;
  record(device, reason.at, { kind: 'update', code, release: `${name} ${version}`, message });
  return device;
}

function pinned(device: MockDevice, now: number): MockDevice {
  device.detail.pinned = { at: now - 30 * HOUR, by: 'admin' };
  return device;
}

function refusing(device: MockDevice, now: number, wanted: Release): MockDevice {
  const { detail } = device;
  const reason = {
    code: 'refused.blob-digest',
    message: 'Cannot use chunk 214 of layer 9f2c61ab03d7: its digest is 71be…, signed is 04aa…',
    at: now - 21 * MINUTE,
  } as const;
  detail.desired = {
    release: { id: wanted.id, name: wanted.name, version: wanted.version },
    generation: 4,
  };
  detail.updatePhase = 'refused';
  detail.updateReason = reason;
  if (detail.report) {
    detail.report.update = {
      phase: 'refused',
      since: reason.at,
      release: { name: wanted.name, version: wanted.version, manifest: wanted.manifestSha256, generation: 4 },
      progress: { doneBytes: 13_900_000, totalBytes: 19_300_000, reusedBytes: 78_200_000 },
      reason,
    };
  }
  record(device, reason.at, {
    kind: 'update',
    code: reason.code,
    release: `${wanted.name} ${wanted.version}`,
    message: reason.message,
  });
  return device;
}

function failing(device: MockDevice, now: number, release: Release): MockDevice {
  const { detail } = device;
  const service = detail.report?.services.find(({ name }) => name === 'analyser');
  if (!service) return device;
  service.state = 'crash_looping';
  service.since = now - 4 * MINUTE;
  service.restarts = 6;
  service.oomKills = 6;
  service.reason = {
    code: 'wait.given-up',
    message:
      'It failed 6 times in a row, last by exit.oom at 128 MiB; a new release or a restart by hand starts it again',
    at: now - 4 * MINUTE,
  };
  const series = device.metrics.items.find(({ service: name }) => name === 'analyser');
  // Reports come each 10 s; it has not run for four minutes
  for (const values of series ? [series.at, series.memoryBytes, series.cpu, series.pids] : [])
    values.splice(-24);
  delete service.usage;
  delete service.pid;
  detail.services.running -= 1;
  for (const attempt of [3, 2, 1]) {
    record(device, now - (4 + attempt) * MINUTE, {
      kind: 'service',
      code: 'exit.oom',
      service: 'analyser',
      message: 'The kernel killed node (pid 2231): 128 MiB of 128 MiB in use',
    });
  }
  const { report } = detail;
  if (report?.channels) report.channels = channelsAt(now, release.channels ?? [], report.services);
  record(device, now - 8 * MINUTE, {
    kind: 'service',
    code: 'channel.evicted',
    service: 'analyser',
    message: 'Channel "readings": analyser stood still a whole ring behind; publishers no longer wait for it',
  });
  device.postMortems.push(...somePostMortems(now));
  record(device, now - 4 * MINUTE, {
    kind: 'service',
    code: 'wait.given-up',
    service: 'analyser',
    message: 'Failed 6 times in a row',
  });
  return device;
}
