/** Golden transcripts of what is done by hand, of events and of networks; see transcripts.test.ts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeEvents, fakeNet } from '../local-api/fake-events.ts';
import { fakeService, fakeStatus, NOW } from '../local-api/fake-status.ts';
import {
  golden,
  openTranscriptBench,
  plain80,
  type TranscriptBench,
  terminal80,
} from './transcript-bench.ts';

let bench: TranscriptBench;
let view: FakeAgentView;
let transcript: TranscriptBench['transcript'];

beforeEach(async () => {
  bench = await openTranscriptBench();
  ({ view, transcript } = bench);
});

afterEach(() => bench.close());

const wide = (text: string): string[] => text.split('\n').filter((line) => [...line].length > 80);

/** As the agent shows a service that ada stopped a minute ago, and one that waits for it. */
function hold(): void {
  const message = 'ada stopped it by hand until 2026-11-21T10:59:00Z: cleaning the lens';
  const stopped = { code: 'stop.by-hand' as const, message, at: NOW - 60_000 };
  const exit = {
    code: 'exit.code' as const,
    message: 'Exited with code 0 after 11340.2 s',
    at: NOW - 59_000,
  };
  const waits = { code: 'wait.by-hand' as const, message, at: NOW - 59_000 };
  const dependant = {
    code: 'wait.dependency' as const,
    message: 'Waits for "sensor" to be running',
    at: NOW - 20_000,
    causes: [waits],
  };
  const down = { pid: undefined, usage: undefined };
  view.agentStatus = fakeStatus({
    services: [
      fakeService('sensor', { ...down, state: 'stopped', since: NOW - 59_000, reason: waits }),
      fakeService('web', { ...down, state: 'waiting', since: NOW - 20_000, reason: dependant }),
    ],
  });
  view.reasons = { sensor: [waits, { ...exit, causes: [stopped] }, stopped] };
  view.holds.held.set('sensor', {
    by: 'ada',
    why: 'cleaning the lens',
    since: NOW - 60_000,
    until: NOW + 59 * 60_000,
  });
}

test('stop and start', async () => {
  view.holds.dependants = { sensor: ['web'] };
  const stop = ['stop', 'sensor', '--for', '59m', '--why', 'cleaning the lens'];
  const text = await transcript([
    stop,
    ['restart', 'sensor'],
    ['restart', 'sensor', '--json'],
    ['start', 'sensor', '--why', 'clean'],
    ['start', 'web'],
    ['start', 'web', '--json'],
    ['stop', 'web', '--json'],
    ['stop', 'web', '--for', '200h'],
    ['stop', 'web', '--for', 'ever'],
    ['stop', 'web', '--why', ''],
    ['stop', 'web', '--why', `${'x'.repeat(201)}`],
    ['stop', 'wbe'],
    ['start', 'wbe'],
    ['stop'],
    ['stop', 'web', 'sensor'],
  ]);
  view.holds.isUnsaved = true;
  const unsaved = await transcript([
    ['stop', 'web'],
    ['stop', 'web', '--json'],
  ]);
  await expect(`${text}\n${unsaved}`).toMatchFileSnapshot(golden('stop-start'));
  expect(view.holds.starts).toEqual([
    { service: 'sensor', who: 'ada', why: 'clean' },
    { service: 'web', who: 'ada', why: undefined },
    { service: 'web', who: 'ada', why: undefined },
  ]);
});

test('a service that is stopped by hand: what, since when, waiting for what', async () => {
  hold();
  const commands = [['status'], ['ps'], ['why', 'sensor'], ['why', 'sensor', '--json']];
  await expect(await transcript(commands)).toMatchFileSnapshot(golden('held'));
  const narrow = await transcript(commands.slice(0, 3), plain80);
  expect(wide(narrow)).toEqual([]);
  await expect(narrow).toMatchFileSnapshot(golden('held-80-columns'));
});

test('events', async () => {
  const none = await transcript([['events'], ['events', '--json']]);
  view.events.kept = fakeEvents;
  const text = await transcript([
    ['events'],
    ['events', '-n', '1'],
    ['events', '--since', '1h'],
    ['events', '--since', '2026-11-21T09:59Z', '--service', 'sensor'],
    ['events', '--service', 'nobody'],
    ['events', '--json', '-n', '2'],
    ['events', '--since', 'yesterday'],
    ['events', '-n', '1001'],
    ['events', 'sensor'],
  ]);
  await expect(`${none}\n${text}`).toMatchFileSnapshot(golden('events'));
  const narrow = await transcript([['events']], plain80);
  expect(wide(narrow)).toEqual([]);
  expect(await transcript([['events', '-n', '1']], terminal80)).toContain('␛[2m2026-11-21 09:59:00Z');
});

test('events that come later', async () => {
  view.events.kept = fakeEvents;
  view.events.later = [
    { kind: 'service', service: 'sensor', code: 'start.by-hand', message: 'ada started it', at: NOW },
  ];
  const seen = new AbortController();
  setTimeout(() => seen.abort(), 300);
  const text = await transcript([['events', '-f', '-n', '0']], { signal: seen.signal });
  expect(text).toBe(
    '$ wherry events -f -n 0\n2026-11-21 10:00:00Z  sensor: ada started it [start.by-hand]\n[exit 0]\n',
  );
});

test('networks', async () => {
  const none = await transcript([['net'], ['net', '--json']]);
  view.net.shown = fakeNet;
  const text = await transcript([['net'], ['net', '--json']]);
  view.net.shown = {
    ...fakeNet,
    ports: [],
    segments: fakeNet.segments.map((segment) => ({ ...segment, isUp: false })),
    rules: { state: 'missing', counters: [] },
  };
  const lost = await transcript([['net']]);
  await expect(`${none}\n${text}\n${lost}`).toMatchFileSnapshot(golden('net'));
  view.net.shown = fakeNet;
  expect(wide(await transcript([['net']], plain80))).toEqual([]);
});
