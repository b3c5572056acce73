// C, Node and Python talk to each other: every pair, small and large messages, checksums at both ends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeChannel } from '../support/ipc-channel.ts';
import { buildPeers, expectedLines, LANGUAGES, type Peers } from '../support/ipc-peers.ts';
import { IpcBench } from '../support/ipc-programs.ts';

const MIB = 1024 ** 2;
const bench = new IpcBench();
let peers: Peers;
beforeAll(async () => {
  peers = await buildPeers(bench);
}, 120_000);
afterAll(() => bench.remove());

const ended = { code: 0, stderr: '' };
const linesOf = (stdout: string): string[] => stdout.trimEnd().split('\n');
const SIZES = [
  { size: 64, count: 2000, depth: 64 },
  { size: MIB, count: 12, depth: 4 },
];

describe.each(LANGUAGES)('a publisher in %s', (from) => {
  test.each(LANGUAGES)('is heard in %s, whole and in order', async (to) => {
    for (const { size, count, depth } of SIZES) {
      const dir = bench.channels();
      const ends = { publishers: ['source'], subscribers: ['sink'], mode: 'reliable' as const };
      // Reliable: starting takes long on a busy machine.
      makeChannel(dir, { name: 'pipe', ...ends, slotSize: size, depth, blockTimeoutMs: 30_000 });

      const sink = peers.subscribe(to, dir, 'sink', 'pipe', count);
      expect(await peers.publish(from, dir, 'source', 'pipe', count, size)).toMatchObject(ended);

      const { stdout, ...how } = await sink;
      expect(how).toEqual(ended);
      expect(linesOf(stdout)).toEqual(expectedLines('source', count, size));
    }
  });
});

test.each(LANGUAGES)('publishers in all three are heard by one subscriber in %s', async (to) => {
  const dir = bench.channels();
  const ends = { publishers: [...LANGUAGES], subscribers: ['sink'], mode: 'reliable' as const };
  makeChannel(dir, { name: 'pipe', ...ends, slotSize: 1000, depth: 16, blockTimeoutMs: 30_000 });

  const sink = peers.subscribe(to, dir, 'sink', 'pipe', 3 * 200);
  await Promise.all(LANGUAGES.map((from) => peers.publish(from, dir, from, 'pipe', 200, 999)));

  const lines = linesOf((await sink).stdout);
  for (const from of LANGUAGES)
    expect(lines.filter((line) => line.startsWith(`${from} `))).toEqual(expectedLines(from, 200, 999));
});
