import { describe, expect, it } from 'vitest';
import type { Attempt, DeviceSummary, Release, Rollout } from '../api/types.ts';
import { byAttention, concernsOf, matches } from './attention.ts';
import { ceiling, sampleIndices, summary } from './chart.ts';
import { choicesFor, mostBytes, sizeLines } from './deploy.ts';
import { attemptPercent, byUrgency, mayBeUrgent, rolloutWord, tally, tallySentence } from './rollout.ts';
import { updateSteps } from './update-steps.ts';
import { updateWord } from './update-word.ts';

const v1 = { name: 'gauge', version: '1.0.0', generation: 1 };
const v2 = { id: 'r2', name: 'gauge', version: '2.0.0' };

function device(fields: Partial<DeviceSummary> = {}): DeviceSummary {
  return {
    id: 'a',
    board: 'raspberry-pi-4',
    platform: 'linux/arm64',
    isOnline: true,
    lastSeenAt: 1,
    enrolledAt: 1,
    desired: null,
    current: v1,
    updatePhase: 'committed',
    updateReason: null,
    services: { total: 3, running: 3 },
    pinned: null,
    remote: null,
    ...fields,
  };
}

describe('attention', () => {
  it('finds nothing wrong with a device that runs all its services', () => {
    expect(concernsOf(device())).toEqual([]);
  });

  it('does not call a service down that an update has stopped', () => {
    const services = { total: 3, running: 0 };
    expect(concernsOf(device({ services, updatePhase: 'switching' }))).toEqual([]);
    expect(concernsOf(device({ services }))).toEqual([{ tone: 'bad', text: '3 services down' }]);
  });

  it('lists trouble first, then offline devices, then the rest by number', () => {
    const fleet = [
      device({ id: 'd10' }),
      device({ id: 'd9' }),
      device({ id: 'z', isOnline: false }),
      device({ id: 'zz', updatePhase: 'refused' }),
    ];
    expect(fleet.sort(byAttention).map(({ id }) => id)).toEqual(['zz', 'z', 'd9', 'd10']);
  });

  it('matches only when every word occurs', () => {
    expect(matches(device(), 'GAUGE raspberry')).toBe(true);
    expect(matches(device(), 'gauge offline')).toBe(false);
    expect(matches(device(), '')).toBe(true);
  });
});

describe('update state', () => {
  const desired = { release: v2, generation: 2 };

  it('is not up to date while another release is wanted', () => {
    expect(updateWord(device({ desired })).label).toBe('Waiting');
    expect(updateWord(device()).label).toBe('Up to date');
  });

  it('keeps a refusal in sight although another release is wanted', () => {
    expect(updateWord(device({ desired, updatePhase: 'refused' })).label).toBe('Refused');
  });

  it('marks the steps before the phase done and those after it to come', () => {
    expect(updateSteps('staged')?.map(({ state }) => state)).toEqual([
      'done',
      'done',
      'now',
      'ahead',
      'ahead',
      'ahead',
    ]);
    expect(updateSteps('committed')?.every(({ state }) => state === 'done')).toBe(true);
    expect(updateSteps('refused')).toBeUndefined();
  });

  it('shows a wait where it is: before the switch, or before the download', () => {
    const nows = ['wait.window', 'wait.metered'].map((reason) =>
      updateSteps('waiting', reason)?.findIndex(({ state }) => state === 'now'),
    );
    expect(nows).toEqual([3, 0]);
  });

  it('is no concern and not in progress while it waits for its time', () => {
    const waiting = device({ desired, updatePhase: 'waiting' });
    expect(concernsOf(waiting)).toEqual([]);
    expect(updateWord(waiting)).toEqual({ label: 'Waiting', tone: 'quiet' });
  });
});

describe('deploy', () => {
  const release: Release = {
    ...v2,
    description: '',
    manifestSha256: '',
    boards: ['raspberry-pi-4'],
    sizeBytes: { 'linux/arm64': 100 },
    services: [],
    signedBy: [],
    targetsVersion: 1,
    uploadedAt: 1,
    uploadedBy: 'admin',
    deviceCount: 0,
  };

  it('says why a device cannot take the release and puts it last', () => {
    const choices = choicesFor(release, [
      device({ id: 'a', board: 'jetson' }),
      device({ id: 'b', platform: 'linux/amd64' }),
      device({ id: 'c' }),
      device({ id: 'd', pinned: { at: 1, by: 'ada' }, desired: { release: v2, generation: 2 } }),
    ]);
    expect(choices.map(({ device: { id }, refusal }) => [id, refusal])).toEqual([
      ['c', undefined],
      ['a', 'Its board is jetson; the release is for raspberry-pi-4'],
      ['b', 'The release holds no image for linux/amd64'],
      ['d', 'Pinned to gauge 2.0.0 by ada; unpin it on its page first'],
    ]);
  });

  it('counts the bytes of each device’s own platform', () => {
    expect(mostBytes(release, [device(), device(), device({ platform: 'linux/amd64' })])).toBe(200);
  });

  it('says what an update sends, by what devices run', () => {
    const [from, nothing] = [
      { base: { id: 'r1', name: 'boat', version: '1.2.0' }, platform: 'linux/arm64', devices: 3 },
      { base: null, platform: 'linux/arm64', devices: 1 },
    ];
    const sizes = { wireBytes: 55_296, fullBytes: 1024 ** 2, isFinal: true };
    expect(
      sizeLines({
        items: [
          { ...from, ...sizes },
          { ...nothing, ...sizes, wireBytes: 1024 ** 2 },
        ],
      }),
    ).toEqual({
      total: '1.16 MiB instead of 4 MiB',
      lines: ['3 devices on boat 1.2.0: 54 KiB each', '1 device on no known release: 1 MiB each'],
    });
    expect(sizeLines({ items: [{ ...from, ...sizes, isFinal: false }] })).toEqual({
      total: 'at most 162 KiB; deltas are being made',
      lines: ['3 devices on boat 1.2.0: at most 54 KiB each'],
    });
  });
});

const attempt = (state: Attempt['state'], fields: Partial<Attempt> = {}): Attempt => ({
  id: state,
  device: state,
  state,
  generation: 1,
  progress: null,
  reason: null,
  updatedAt: 1,
  ...fields,
});

describe('a rollout that waits', () => {
  const waits: Rollout = {
    id: 'x',
    release: v2,
    state: 'running',
    createdAt: 1,
    createdBy: 'admin',
    attempts: [attempt('waiting'), attempt('soaking'), attempt('committed')],
  };

  it('counts a device that waits for its time as waiting, not as failed or in progress', () => {
    expect(tallySentence(tally(waits))).toBe('1 of 3 done, 1 in progress, 1 waiting');
  });

  it('may be made urgent once, for those that have not switched', () => {
    expect(mayBeUrgent(waits)).toBe(1);
    expect(mayBeUrgent({ ...waits, policy: { urgent: { by: 'ada' } } })).toBe(0);
    expect(mayBeUrgent({ ...waits, state: 'completed' })).toBe(0);
  });
});

describe('rollout', () => {
  const rollout: Rollout = {
    id: 'x',
    release: v2,
    state: 'running',
    createdAt: 1,
    createdBy: 'admin',
    attempts: ['committed', 'already_current', 'soaking', 'queued', 'rejected', 'rolled_back'].map((state) =>
      attempt(state as Attempt['state']),
    ),
  };

  it('counts each attempt once', () => {
    expect(tally(rollout)).toEqual({ total: 6, done: 2, moving: 1, waiting: 1, failed: 2, superseded: 0 });
    expect(tallySentence(tally(rollout))).toBe('2 of 6 done, 1 in progress, 1 waiting, 2 failed');
  });

  it('is no good news when it ended with failures', () => {
    const over = (...states: Attempt['state'][]): Rollout => ({
      ...rollout,
      state: 'completed',
      attempts: states.map((state) => attempt(state)),
    });
    expect(rolloutWord(over('committed')).tone).toBe('ok');
    expect(rolloutWord(over('committed', 'rejected')).tone).toBe('warn');
    expect(rolloutWord(over('rolled_back')).label).toBe('Failed');
    expect(rolloutWord(rollout).label).toBe('Running');
  });

  it('shows failures first', () => {
    expect(rollout.attempts.toSorted(byUrgency).map(({ device: id }) => id)).toEqual([
      'rejected',
      'rolled_back',
      'already_current',
      'committed',
      'queued',
      'soaking',
    ]);
  });

  it('never moves the bar back while an attempt goes on', () => {
    const progress = { doneBytes: 100, totalBytes: 100, reusedBytes: 0 };
    const way: Attempt[] = [
      attempt('queued'),
      attempt('offered'),
      attempt('downloading', { progress: { ...progress, doneBytes: 50 } }),
      attempt('downloading', { progress }),
      attempt('installing', { progress }),
      attempt('soaking', { progress }),
      attempt('committed', { progress }),
    ];
    const shares = way.map(attemptPercent);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(100);
  });
});

describe('charts', () => {
  it('scales to the budget when use is near it and to use when it is far below', () => {
    expect(ceiling([60], 100)).toBeGreaterThan(100);
    expect(ceiling([2], 100)).toBe(3);
    expect(ceiling([], 100)).toBe(100);
  });

  it('sums up a series', () => {
    expect(summary([3, 1, 2])).toEqual({ last: 2, least: 1, most: 3 });
    expect(summary([])).toBeUndefined();
  });

  it('samples evenly and always has the newest', () => {
    expect(sampleIndices(3, 15)).toEqual([0, 1, 2]);
    expect(sampleIndices(90, 3)).toEqual([29, 59, 89]);
  });
});
