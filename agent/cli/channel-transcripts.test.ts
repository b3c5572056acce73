/** Golden transcripts of the channel commands; see transcripts.test.ts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeChannels, fakeMessage } from '../local-api/fake-channels-view.ts';
import { golden, openTranscriptBench, type TranscriptBench } from './transcript-bench.ts';

let bench: TranscriptBench;
let view: FakeAgentView;
let transcript: TranscriptBench['transcript'];

beforeEach(async () => {
  bench = await openTranscriptBench();
  ({ view, transcript } = bench);
});

afterEach(() => bench.close());

const ONCE = ['ipc', 'top', '--interval', '100ms', '--count', '1'];
const tap = (...options: string[]): string[] => ['ipc', 'tap', 'readings', ...options];
const bytes = (...values: number[]) => ({
  data: Buffer.from(values).toString('base64'),
  length: values.length,
});

test('channels', async () => {
  view.channels.looks = [0, 0, 2_000, 2_000, 4_000].map(fakeChannels);
  const text = await transcript([['ipc', 'ls'], ONCE, [...ONCE, '--json'], ['ipc', 'ls', '--json']]);
  await expect(text).toMatchFileSnapshot(golden('channels'));
});

test('a device without channels', async () => {
  const text = await transcript([['ipc', 'ls'], ONCE, ['ipc', 'tap', 'frames']]);
  await expect(text).toMatchFileSnapshot(golden('no-channels'));
});

test('messages of a channel, read along', async () => {
  view.channels.messages = {
    readings: [
      fakeMessage(),
      fakeMessage({ sequence: 130, lost: 9, type: 7, length: 300 }),
      fakeMessage({ sequence: 131, ...bytes(0, 1, 0xff, 0x1b) }),
      fakeMessage({ sequence: 132, ...bytes(0x1b, 0x5b, 0x32, 0x4a) }),
    ],
  };
  const text = await transcript([
    tap(),
    tap('--hex', '--count', '1'),
    tap('--raw', '--count', '1'),
    tap('--json', '--count', '2'),
    tap('--bytes', '0'),
    tap('--count', 'all'),
    tap('--raw', '--hex'),
    ['ipc', 'top', '--interval', '1ms'],
    ['ipc'],
    ['ipc', 'tap'],
  ]);
  await expect(text).toMatchFileSnapshot(golden('channel-messages'));
});
