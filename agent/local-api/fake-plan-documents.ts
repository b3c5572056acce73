import { NOW } from './fake-status.ts';
import type { PlanAnswer, UpdateCheckAnswer } from './plan-port.ts';

const MiB = 1024 ** 2;
const HOUR = 3_600_000;
const release = { name: 'demo', version: '2.0.0', manifest: '2'.repeat(64) };

/** A release that a window and two leases hold. */
export const fakeCheck: UpdateCheckAnswer = {
  verdict: 'waits',
  release: { ...release, generation: 5 },
  why: [
    {
      code: 'wait.lease',
      message: 'web is not to be disturbed until 2026-11-21T10:20:00Z: a measurement is running',
    },
    { code: 'wait.window', message: 'Waits for the update window of 2026-11-22T02:00:00Z' },
  ],
  metadata: { state: 'fresh', checkedAt: NOW, expiresAt: NOW + 22 * HOUR },
  link: { state: 'connected', since: NOW - 2 * HOUR },
};

const measured = (ms: number) => ({ ms, from: 'measured' as const });

/** A release from a stick that changes one service of three, adds one, and brings an agent and a system. */
export const fakePlan: PlanAnswer = {
  release,
  folder: '/media/stick/bundle',
  current: { name: 'demo', version: '1.0.0', manifest: '1'.repeat(64), generation: 4 },
  waits: [
    { code: 'wait.lease', message: 'ada is not to be disturbed until 2026-11-21T10:20:00Z: calibrating' },
  ],
  brings: { agent: '0.2.0-aabbccddeeff', system: '1.4-001122334455' },
  fetch: {
    bytes: 3.5 * MiB,
    haveBytes: 88 * MiB,
    deltaBytes: 0.5 * MiB,
    fullBytes: 3 * MiB,
    blobs: [
      { of: 'service web, layer 1', digest: 'a'.repeat(64), sizeBytes: 88 * MiB, how: 'have', bytes: 0 },
      {
        of: 'service web, layer 2',
        digest: 'b'.repeat(64),
        sizeBytes: 9 * MiB,
        how: 'delta',
        bytes: 0.5 * MiB,
      },
      {
        of: 'service camera, layer 2',
        digest: 'c'.repeat(64),
        sizeBytes: 3 * MiB,
        how: 'full',
        bytes: 3 * MiB,
        isBuilding: true,
      },
    ],
  },
  admission: {
    fits: true,
    rows: [
      { who: 'system reserve', memoryBytes: 128 * MiB, cpu: 0, diskBytes: 0 },
      { who: 'service web', memoryBytes: 64 * MiB, cpu: 0.5, diskBytes: 8 * MiB },
    ],
    memory: { wantedBytes: 192 * MiB, availableBytes: 1024 * MiB },
    memoryMin: { wantedBytes: 0, availableBytes: 896 * MiB },
    cpu: { wanted: 0.5, available: 2 },
    disk: { wantedBytes: 8 * MiB },
  },
  disk: { freeBytes: 900 * MiB, neededBytes: 19.5 * MiB, fits: true },
  steps: [
    { atMs: 0, kind: 'stop', service: 'web', why: 'The release in force changes its specification' },
    { atMs: 120, kind: 'start', service: 'web', why: 'The release in force changes its specification' },
    { atMs: 520, kind: 'start', service: 'camera', why: 'The release in force holds it' },
  ],
  services: [
    {
      service: 'web',
      act: 'restart',
      awayMs: 400,
      times: { stop: measured(120), start: measured(80), healthy: measured(200) },
    },
    {
      service: 'camera',
      act: 'start',
      awayMs: 1520,
      times: {
        stop: { ms: 10_000, from: 'grace' },
        start: { ms: 1000, from: 'assumed' },
        healthy: { ms: 0, from: 'measured' },
      },
    },
    {
      service: 'sensor',
      act: 'keep',
      awayMs: 0,
      times: { stop: measured(90), start: measured(70), healthy: measured(0) },
    },
    {
      service: 'late',
      act: 'wait',
      awayMs: 1520,
      times: { stop: measured(90), start: measured(70), healthy: measured(0) },
      waitsFor: 'Waits for "camera" to be healthy',
    },
  ],
  totalMs: 1520,
};
