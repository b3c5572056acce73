import { describe, expect, test } from 'vitest';
import { LIMITS } from '../../../protocol/limits.ts';
import { FakeSource } from './fake-source.ts';
import { SourceChain, type SourceLink } from './source-chain.ts';
import { SourceError } from './source-error.ts';

const BLOB = `blob-${'a'.repeat(64)}`;
const content = Buffer.alloc(4 * LIMITS.chunkBytes, 7);
const { signal } = new AbortController();
const down = async (): Promise<never> => {
  throw new SourceError('unreachable', 'it is down');
};

/** Breaks after so many chunks. */
class Breaking extends FakeSource {
  asked: number[][] = [];
  left: number;
  constructor(left: number) {
    super(new Map([[BLOB, content]]));
    this.left = left;
  }
  override async fetch(...[object, chunks, onChunk, stop]: Parameters<FakeSource['fetch']>): Promise<void> {
    this.asked.push([...chunks]);
    for (const chunk of chunks) {
      if (this.left-- <= 0) await down();
      await super.fetch(object, [chunk], onChunk, stop);
    }
  }
}

const timestamp = (version: number) => Buffer.from(JSON.stringify({ signed: { version } }));
const link = (name: string, source: FakeSource, isMirror = false): SourceLink => ({ name, source, isMirror });
const fetchAll = async (chain: SourceChain): Promise<number[]> => {
  const taken: number[] = [];
  await chain.fetch(BLOB, [0, 1, 2, 3], async (index) => void taken.push(index), signal);
  return taken;
};

test('a download half done over one source goes on over the next', async () => {
  const [first, second] = [new Breaking(2), new Breaking(9)];
  const chain = new SourceChain([link('a', first), link('b', second)], () => 0);
  expect(await fetchAll(chain)).toEqual([0, 1, 2, 3]);
  expect([first.asked, second.asked]).toEqual([[[0, 1, 2, 3]], [[2, 3]]]);
});

test('a source that was down rests for a minute and is asked again then, or when there is no other', async () => {
  const time = { now: 0 };
  const [first, second] = [new Breaking(0), new Breaking(99)];
  const chain = new SourceChain([link('a', first), link('b', second)], () => time.now);
  await fetchAll(chain);
  first.left = 99;
  await fetchAll(chain);
  expect(first.asked).toHaveLength(1);
  time.now = 60_001;
  await fetchAll(chain);
  expect(first.asked).toHaveLength(2);
  first.left = second.left = 0;
  await expect(fetchAll(chain)).rejects.toThrow('it is down; it is down');
  first.left = 99;
  await fetchAll(chain);
  expect(first.asked).toHaveLength(4);
});

describe('a mirror', () => {
  const server = new FakeSource(
    new Map([
      [BLOB, content],
      ['timestamp', Buffer.from('{}')],
    ]),
  );

  test('is never asked for what tells what is newest', async () => {
    const mirror = new FakeSource(new Map([['timestamp', Buffer.from('old')]]));
    const chain = new SourceChain([link('mirror', mirror, true), link('server', server)], () => 0);
    expect((await chain.read('timestamp', 10, signal)).toString()).toBe('{}');
    expect(mirror.reads).toEqual([]);
  });

  test('that gave wrong content is not asked again for an hour, and the server is never blamed away', async () => {
    const mirror = new FakeSource(new Map([[BLOB, Buffer.from('wrong')]]));
    const time = { now: 0 };
    const chain = new SourceChain([link('mirror', mirror, true), link('server', server)], () => time.now);
    expect((await chain.read(BLOB, 1e6, signal)).toString()).toBe('wrong');
    expect(chain.blame()).toBe(true);
    time.now = 3_599_000;
    expect((await chain.read(BLOB, 1e6, signal)).equals(content)).toBe(true);
    expect(chain.blame()).toBe(false);
    time.now = 3_600_001;
    expect((await chain.read(BLOB, 1e6, signal)).toString()).toBe('wrong');
  });
});

test('what the taker throws ends the download: another source would not help', async () => {
  const [first, second] = [new Breaking(9), new Breaking(9)];
  const chain = new SourceChain([link('a', first), link('b', second)], () => 0);
  const full = new Error('no space left');
  await expect(chain.fetch(BLOB, [0], () => Promise.reject(full), signal)).rejects.toBe(full);
  expect(second.asked).toEqual([]);
});

test('behind a stick, the newest timestamp counts, wherever it is, and the rest is taken from the stick first', async () => {
  const server = new FakeSource(
    new Map([
      ['timestamp', timestamp(7)],
      [BLOB, content],
    ]),
  );
  const stick = new FakeSource(
    new Map([
      ['timestamp', timestamp(6)],
      [BLOB, content],
    ]),
  );
  const chain = new SourceChain([link('server', server)], () => 0).after([link('stick', stick)]);
  expect(await chain.read('timestamp', 99, signal)).toEqual(timestamp(7));
  stick.objects.set('timestamp', timestamp(8));
  expect(await chain.read('timestamp', 99, signal)).toEqual(timestamp(8));
  server.objects.delete('timestamp');
  stick.objects.set('timestamp', Buffer.from('no JSON'));
  expect((await chain.read('timestamp', 99, signal)).toString()).toBe('no JSON');
  server.reads.length = 0;
  await chain.read(BLOB, 1e6, signal);
  expect(server.reads).toEqual([]);
});

test('of several failures the one that says most counts', async () => {
  const empty = new FakeSource();
  const large = new FakeSource(new Map([[BLOB, content]]));
  const away = new FakeSource();
  away.onRead = down;
  const code = (...sources: FakeSource[]) =>
    new SourceChain(
      sources.map((source, index) => link(String(index), source)),
      () => 0,
    )
      .read(BLOB, 1, signal)
      .catch((error: SourceError) => error.code);
  expect(await code(empty, large, away)).toBe('too-large');
  expect(await code(empty, away)).toBe('unknown-object');
  expect(await code(away, away)).toBe('unreachable');
});

test('none at all is said', async () => {
  await expect(new SourceChain([], () => 0).read(BLOB, 1, signal)).rejects.toThrow('no source is set up');
});
