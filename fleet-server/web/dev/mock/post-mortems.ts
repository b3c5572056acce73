import type { PostMortem } from '../../../../protocol/post-mortem.ts';

const MIB = 1024 ** 2;
const MINUTE = 60_000;

/** Of each kind, newest first, and more than the page shows at once. */
export function somePostMortems(now: number): PostMortem[] {
  return [
    ...[5, 6, 7].map((minutes) => outOfMemory(now - minutes * MINUTE)),
    crash(now - 26 * 60 * MINUTE),
    rollback(now - 50 * 60 * MINUTE),
    releaseRollback(now - 51 * 60 * MINUTE),
    crash(now - 75 * 60 * MINUTE),
  ];
}

const idOf = (at: number, who: string) => `${Math.round(at).toString(16).padStart(12, '0')}-${who}`;

const device = {
  memoryAvailableBytes: 1340 * MIB,
  memoryPressure: { some: 21.4, full: 3.2 },
  ioPressure: { some: 2.1, full: 0.4 },
  cpuPressure: { some: 8.8, full: 0 },
  temperatureCelsius: 58.3,
};
const bootId = '5f0c2b1e-6a77-4a53-9f0e-0d1b8f5a1c22';

function outOfMemory(when: number): PostMortem {
  const at = Math.round(when);
  return {
    v: 1,
    id: idOf(at, 'analyser'),
    at,
    kind: 'oom',
    service: 'analyser',
    release: 'river-gauge 1.1.0',
    specDigest: '3d'.repeat(32),
    reasons: [
      { code: 'exit.oom', message: 'Ran out of its memory budget and was killed after 41.3 s', at },
      { code: 'start.retry', message: 'Start 4 after a wait of 8000 ms', at: at - 41_300 },
      {
        code: 'wait.backoff',
        message: 'Starts again 8000 ms after failure 3 in a row',
        at: at - 49_400,
        causes: [{ code: 'exit.oom', message: 'Ran out of its memory budget', at: at - 49_400 }],
      },
    ],
    exit: { code: 137, signal: 9 },
    budget: { memoryMaxBytes: 128 * MIB, cpuMax: 0.5, pidsMax: 32 },
    usage: {
      memoryBytes: 124 * MIB,
      cpu: 0.31,
      pids: 12,
      throttledMs: 400,
      memoryPeakBytes: 128 * MIB,
      memoryHighEvents: 3,
    },
    oomKills: 4,
    oomKilled: { pid: 2231, command: 'node' },
    device,
    log: [
      { at: at - 41_000, stream: 'stdout', text: 'reading 86400 samples from /data/level.csv' },
      { at: at - 9_000, stream: 'stderr', text: 'window grew to 61440 samples' },
      {
        at: at - 400,
        stream: 'stderr',
        text: '<--- Last few GCs ---> [1:0x7f2c5c000000] 41021 ms: Mark-Compact 117.2 (131.0) -> 116.9 (130.8) MB, 812.33 / 0.00 ms allocation failure',
      },
    ],
    bootId,
  };
}

function crash(when: number): PostMortem {
  const at = Math.round(when);
  return {
    v: 1,
    id: idOf(at, 'sensor'),
    at,
    kind: 'crash',
    service: 'sensor',
    release: 'river-gauge 1.1.0',
    reasons: [{ code: 'exit.code', message: 'Exited with code 3 after 0.4 s', at }],
    exit: { code: 3 },
    budget: { memoryMaxBytes: 32 * MIB, cpuMax: 0.2, pidsMax: 8 },
    oomKills: 0,
    device,
    log: [],
    bootId,
  };
}

function rollback(when: number): PostMortem {
  const at = Math.round(when);
  const message = 'river-gauge 1.2.0 rolled back to river-gauge 1.1.0: web: crash looping';
  const cause = { code: 'exit.code' as const, message: 'Exited with code 1 after 0.2 s', at: at - 900 };
  return {
    v: 1,
    id: idOf(at, 'web'),
    at,
    kind: 'rollback',
    service: 'web',
    release: 'river-gauge 1.2.0',
    reasons: [{ code: 'update.rolled-back', message, at, causes: [cause] }, cause],
    budget: { memoryMaxBytes: 64 * MIB, cpuMax: 0.3, pidsMax: 16 },
    oomKills: 0,
    device,
    log: [{ at: at - 950, stream: 'stderr', text: 'Error: cannot find module "./routes"' }],
    bootId,
  };
}

function releaseRollback(when: number): PostMortem {
  const at = Math.round(when);
  const message =
    'river-gauge 1.2.0 rolled back to river-gauge 1.1.0: the agent was started 4 times since the switch';
  return {
    v: 1,
    id: idOf(at, 'release'),
    at,
    kind: 'rollback',
    release: 'river-gauge 1.2.0',
    reasons: [{ code: 'update.rolled-back', message, at }],
    device,
    log: [],
    bootId,
  };
}
