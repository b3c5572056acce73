import type { NetAnswer } from './answers.ts';
import type { EventLog, EventQuery, LocalEvent } from './event-port.ts';
import { NOW } from './fake-status.ts';
import type { NetView } from './net-port.ts';

/** Events that are data. Who follows gets `later` and then waits. */
export class FakeEvents implements EventLog {
  kept: LocalEvent[] = [];
  later: LocalEvent[] = [];

  async *recent({ since = 0, service, limit, follow, signal }: EventQuery): AsyncGenerator<LocalEvent> {
    const isWanted = (event: LocalEvent): boolean =>
      event.at >= since && (service === undefined || event.service === service);
    const wanted = this.kept.filter(isWanted);
    yield* wanted.slice(Math.max(0, wanted.length - limit));
    if (!follow) return;
    yield* this.later.filter(isWanted);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
}

const minutes = (count: number): number => count * 60_000;

export const fakeEvents: LocalEvent[] = [
  {
    kind: 'update',
    code: 'update.committed',
    message: 'demo 1.0.0 stayed well for 60 s',
    at: NOW - minutes(190),
    phase: 'committed',
    release: 'demo 1.0.0',
    generation: 4,
  },
  {
    kind: 'device',
    code: 'lease.taken',
    message: 'ada took a lease until 2026-11-21T12:00:00Z: calibrating',
    at: NOW - minutes(61),
  },
  {
    kind: 'service',
    code: 'exit.oom',
    message: 'Ran out of its memory budget and was killed after 12.3 s',
    at: NOW - minutes(30),
    service: 'web',
    release: 'demo 1.0.0',
    generation: 4,
  },
  {
    kind: 'service',
    code: 'stop.by-hand',
    message: 'ada stopped it by hand until 2026-11-21T10:59:00Z: cleaning the lens',
    at: NOW - minutes(1),
    service: 'sensor',
  },
];

/** Networks that are data. */
export class FakeNet implements NetView {
  shown: NetAnswer = {
    at: NOW,
    segments: [],
    seats: [],
    ports: [],
    rules: { state: 'none', counters: [] },
  };

  async look(): Promise<NetAnswer> {
    return this.shown;
  }
}

const seat = (change: Partial<NetAnswer['seats'][number]>): NetAnswer['seats'][number] => ({
  service: 'web',
  segment: 'main',
  address: '10.212.10.2',
  link: 'wh1a2bv10-2',
  isUp: true,
  receivedBytes: 1_300_000,
  sentBytes: 82_000,
  receivedPackets: 900,
  sentPackets: 640,
  droppedToService: 0,
  droppedFromService: 0,
  ...change,
});

/** Two segments, a published port on all addresses and one on a single one, a rate, and something dropped. */
export const fakeNet: NetAnswer = {
  at: NOW,
  segments: [
    {
      name: 'main',
      isInternal: false,
      bridge: 'wh1a2b-10',
      subnet: '10.212.10.0/24',
      gateway: '10.212.10.1',
      isUp: true,
    },
    {
      name: 'inner',
      isInternal: true,
      bridge: 'wh1a2b-12',
      subnet: '10.212.12.0/24',
      gateway: '10.212.12.1',
      isUp: true,
    },
  ],
  seats: [
    seat({ ingressBps: 8_000_000, egressBps: 1_000_000, droppedToService: 14 }),
    seat({ segment: 'inner', address: '10.212.12.2', link: 'wh1a2bv12-2', receivedBytes: 512 }),
    seat({ service: 'sensor', segment: 'inner', address: '10.212.12.3', link: 'wh1a2bv12-3' }),
  ],
  ports: [
    { protocol: 'tcp', port: 8080, service: 'web', to: '10.212.10.2:80' },
    { protocol: 'udp', address: '127.0.0.1', port: 5353, service: 'web', to: '10.212.10.2:53' },
  ],
  rules: {
    state: 'as-set',
    counters: [
      { name: 'between_segments_dropped', packets: 3, bytes: 180 },
      { name: 'to_host_dropped', packets: 0, bytes: 0 },
      { name: 'published', packets: 12, bytes: 720 },
      { name: 'forged_dropped', packets: 0, bytes: 0 },
    ],
  },
};
