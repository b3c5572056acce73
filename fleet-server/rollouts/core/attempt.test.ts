import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Report, UPDATE_PHASES, type UpdateStatus } from '../../../protocol/messages.ts';
import { type AttemptState, isEnded, onEvent, onReport, onSent } from './attempt.ts';

const MANIFEST = 'a'.repeat(64);
const attempt = (state: AttemptState['state'] = 'offered'): AttemptState => ({
  state,
  generation: 5,
  manifest: MANIFEST,
  progress: null,
  reason: null,
});
const release = (generation = 5) => ({ name: 'demo', version: '2', manifest: MANIFEST, generation });
const report = (update: Partial<UpdateStatus>, rest: Partial<Report> = {}): Report => ({
  v: 1,
  at: 1,
  sequence: 1,
  generation: 5,
  update: { phase: 'idle', since: 0, ...update },
  services: [],
  device: {
    uptimeMs: 1,
    load1: 0,
    memoryTotalBytes: 1,
    memoryAvailableBytes: 1,
    diskTotalBytes: 1,
    diskFreeBytes: 1,
    agentRssBytes: 1,
  },
  ...rest,
});

const changedAfterEnd = (reports: Report[]) => {
  let now = attempt();
  return reports.some((each) => {
    const before = now;
    now = onReport(before, each);
    return isEnded(before.state) && now !== before;
  });
};

describe('attempt', () => {
  test('is offered when its own generation went out', () => {
    expect(onSent(attempt('queued'), 5).state).toBe('offered');
    expect(onSent(attempt('queued'), 4).state).toBe('queued');
    expect(onSent(attempt('soaking'), 5).state).toBe('soaking');
  });

  test('fails on a device that keeps the release though it is not well', () => {
    const reason = { code: 'update.kept', message: 'c stays', at: 1 } as const;
    const after = onReport(attempt(), report({ phase: 'committed', release: release(), reason }));
    expect(after).toMatchObject({ state: 'rolled_back', reason });
  });

  test.each([
    ['fetching', 'downloading'],
    ['waiting', 'waiting'],
    ['verified', 'installing'],
    ['staged', 'installing'],
    ['switching', 'installing'],
    ['soaking', 'soaking'],
    ['committed', 'committed'],
    ['rolled_back', 'rolled_back'],
    ['refused', 'rejected'],
  ] as const)('a device that is %s makes it %s', (phase, state) => {
    expect(onReport(attempt(), report({ phase, release: release() })).state).toBe(state);
  });

  test('carries progress and the reason of a refusal', () => {
    const progress = { doneBytes: 1, totalBytes: 2, reusedBytes: 0 };
    expect(onReport(attempt(), report({ phase: 'fetching', release: release(), progress })).progress).toEqual(
      progress,
    );
    const reason = { code: 'refused.board', message: 'for other boards', at: 9 } as const;
    expect(onReport(attempt(), report({ phase: 'refused', release: release(), reason }))).toMatchObject({
      state: 'rejected',
      reason,
    });
  });

  test('ignores reports about another generation', () => {
    expect(onReport(attempt(), report({ phase: 'refused', release: release(4) }))).toEqual(attempt());
  });

  test('is already current when the device ran the release before', () => {
    expect(onReport(attempt(), report({}, { current: release(3) })).state).toBe('already_current');
    const reason = { code: 'update.current', message: '', at: 1 } as const;
    expect(onReport(attempt(), report({ phase: 'committed', release: release(), reason })).state).toBe(
      'already_current',
    );
  });

  test('is committed when only the report after the end arrives', () => {
    expect(onReport(attempt(), report({}, { current: release() })).state).toBe('committed');
  });

  test('is not settled by a device that has not yet accepted the generation', () => {
    expect(onReport(attempt(), report({}, { generation: 4, current: release(4) })).state).toBe('offered');
  });

  test('an event ends it without a report', () => {
    const event = {
      v: 1,
      id: '0'.repeat(36),
      at: 7,
      kind: 'update',
      code: 'refused.blob-digest',
      message: 'bad chunk',
      generation: 5,
      phase: 'refused',
    } as const;
    expect(onEvent(attempt('downloading'), event)).toMatchObject({
      state: 'rejected',
      reason: { code: 'refused.blob-digest', message: 'bad chunk', at: 7 },
    });
    expect(onEvent(attempt('downloading'), { ...event, generation: 4 }).state).toBe('downloading');
    expect(onEvent(attempt('downloading'), { ...event, phase: 'fetching' }).state).toBe('downloading');
  });

  test('once ended, no report changes it', () => {
    const anyReport = fc
      .record({ phase: fc.constantFrom(...UPDATE_PHASES), generation: fc.integer({ min: 1, max: 9 }) })
      .map(({ phase, generation }) => report({ phase, release: release(generation) }, { generation }));
    const property = fc.property(fc.array(anyReport), (reports) => !changedAfterEnd(reports));
    expect(fc.check(property).failed).toBe(false);
  });
});
