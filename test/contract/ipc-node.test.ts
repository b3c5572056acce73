// The Node client in this process: waiting, aborting, closing, what a publisher and a subscriber are told.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type * as Client from '../../ipc/node/index.js';
import { makeChannel, setEvicted } from '../support/ipc-channel.ts';
import { buildPeers, LIBRARY } from '../support/ipc-peers.ts';
import { IpcBench } from '../support/ipc-programs.ts';
import { until } from '../support/until.ts';

const bench = new IpcBench();
let client: typeof Client;
beforeAll(async () => {
  await buildPeers(bench);
  client = await import(join(LIBRARY, 'node/index.js'));
}, 120_000);
afterAll(() => bench.remove());

const opened: { close: () => void }[] = [];
afterEach(() => {
  for (const end of opened.splice(0)) end.close();
});
const kept = <T extends { close: () => void }>(end: T): T => {
  opened.push(end);
  return end;
};

const SPEC = { name: 'frames', publishers: ['camera'], subscribers: ['detector'], slotSize: 4096, depth: 8 };
type Change = Partial<typeof SPEC> & { mode?: 'lossy' | 'latest' | 'reliable'; blockTimeoutMs?: number };
function channel(change: Change = {}) {
  const dir = bench.channels();
  const folder = makeChannel(dir, { ...SPEC, ...change });
  const publish = (service = 'camera') => kept(client.openPublisher('frames', { dir, service }));
  const subscribe = (service = 'detector') => kept(client.openSubscriber('frames', { dir, service }));
  return { dir, folder, publish, subscribe };
}
const textOf = (message: Client.Message | undefined): string | undefined => message?.data.toString();

const fill = (publisher: Client.Publisher, count = 8): void => {
  for (let i = 0; i < count; i++) publisher.publish(`${i}`);
};

describe('messages', () => {
  test('arrive with what their publisher said', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    const before = process.hrtime.bigint();

    expect(publisher.publish('hello', { type: 4_000_000_000 })).toBe(true);

    const message = subscriber.take();
    expect(message).toMatchObject({
      type: 4_000_000_000,
      publisher: 'camera',
      sequence: 0,
      epoch: 1,
      lost: 0,
    });
    expect(textOf(message)).toBe('hello');
    expect(message?.timestampNs).toBeGreaterThanOrEqual(before);
    expect(message?.timestampNs).toBeLessThanOrEqual(process.hrtime.bigint());
    expect(subscriber.take()).toBeUndefined();
  });

  test.each([
    ['text', 'äbc', 'äbc'],
    ['nothing', '', ''],
    ['a view of a part', new Uint16Array([0x4141, 0x4242, 0x4343]).subarray(1, 2), 'BB'],
    ['an ArrayBuffer', new Uint8Array([68, 69]).buffer, 'DE'],
    ['a DataView', new DataView(new Uint8Array([1, 70, 71, 1]).buffer, 1, 2), 'FG'],
  ])('are made of %s', (_what, data, seen) => {
    const { publish, subscribe } = channel();
    publish().publish(data);
    expect(textOf(subscribe().take())).toBe(seen);
  });

  test('are copies: later ones do not change them', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    const taken = Array.from({ length: 100 }, (_, i) => {
      publisher.publish(Buffer.alloc(3000, i));
      return subscriber.take();
    });
    for (const [i, message] of taken.entries()) expect(message?.data).toEqual(Buffer.alloc(3000, i));
  });

  test('are taken many at once, and large ones too', () => {
    const { publish, subscribe } = channel({ slotSize: 300_000, depth: 32 });
    const [publisher, subscriber] = [publish(), subscribe()];
    const sizes = Array.from({ length: 20 }, (_, i) => (i % 5 === 4 ? 300_000 : i * 11));
    for (const [i, size] of sizes.entries()) publisher.publish(Buffer.alloc(size, i));

    const first = subscriber.takeAll(3);
    const rest = subscriber.takeAll();

    expect([first.length, rest.length]).toEqual([3, 17]);
    for (const [i, { data }] of [...first, ...rest].entries())
      expect(data).toEqual(Buffer.alloc(sizes[i] ?? 0, i));
  });

  test('are read and written in the ring itself, and only as long as it is allowed', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    let slot: Uint8Array = new Uint8Array();
    publisher.write(4096, (memory) => {
      slot = memory;
      memory.set(Buffer.from('in place'));
      return 8;
    });
    expect(slot.length).toBe(0);

    let data: Uint8Array = Buffer.alloc(0);
    const seen = subscriber.view((message) => {
      data = message.data;
      expect(() => subscriber.close()).toThrow(/a view is open/);
      return message.data.toString();
    });

    expect(seen).toEqual({ isWhole: true, value: 'in place' });
    expect(data.length).toBe(0);
    expect(subscriber.view(() => 0)).toBeUndefined();
  });

  test('that a view read while they were overwritten are told apart', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    publisher.publish('old');
    const seen = subscriber.view(() => {
      for (let i = 0; i < 8; i++) publisher.publish(`new ${i}`);
    });
    expect(seen?.isWhole).toBe(false);
  });

  test('that a write does not finish are never published', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    expect(() =>
      publisher.write(4, () => {
        throw new Error('no picture');
      }),
    ).toThrow('no picture');
    expect(subscriber.take()).toBeUndefined();
    publisher.publish('after');
    expect(textOf(subscriber.take())).toBe('after');
  });
});

describe('waiting', () => {
  test('an iterator gives what comes and ends when the subscriber is closed', async () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { data } of subscriber) seen.push(data.toString());
    })();
    for (const word of ['one', 'two', 'three']) {
      publisher.publish(word);
      await until(() => seen.at(-1) === word);
    }
    subscriber.close();
    await reading;
    expect(seen).toEqual(['one', 'two', 'three']);
  });

  test.each(['messages', 'batches'] as const)('an abort ends %s with its reason', async (how) => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    const abort = new AbortController();
    publisher.publish('first');
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const _ of subscriber[how]({ signal: abort.signal }))
        setImmediate(() => abort.abort(reason));
    })();
    await expect(reading).rejects.toBe(reason);
    // It is the wait that was ended: the subscriber goes on.
    publisher.publish('second');
    expect(await subscriber.ready({ timeoutMs: 5000 })).toBe(true);
    expect(textOf(subscriber.take())).toBe('second');
  });

  test('time that is up is told', async () => {
    const subscriber = channel().subscribe();
    expect(await subscriber.ready({ timeoutMs: 20 })).toBe(false);
    await expect(subscriber.ready({ signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });

  test('many subscribers are woken by one thread', async () => {
    const all = Array.from({ length: 12 }, () => channel());
    const seen: number[] = [];
    const ends = all.map(({ publish, subscribe }, i) => {
      const [publisher, subscriber] = [publish(), subscribe()];
      void (async () => {
        for await (const { data } of subscriber) seen.push(i * 1000 + Number(data.toString()));
      })();
      return publisher;
    });
    const threads = readdirSync('/proc/self/task').length;
    for (let round = 0; round < 20; round++) {
      for (const publisher of ends) publisher.publish(String(round));
      await until(() => seen.length === 12 * (round + 1));
    }
    expect(readdirSync('/proc/self/task').length).toBe(threads);
    expect(new Set(seen).size).toBe(240);
  });

  test('a channel that never runs empty leaves the event loop its turns', async () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    publisher.publish('go');
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    const endless = (async () => {
      for await (const _ of subscriber.batches({ signal: abort.signal })) publisher.publish('more');
    })();
    await expect(endless).rejects.toThrow(/abort/);
  });

  test('a batch that is used again has the newest messages', async () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    const seen: string[] = [];
    let next = 0;
    publisher.publish(`${next++}`);
    for await (const batch of subscriber.batches({ reuse: true })) {
      for (const { data } of batch) seen.push(data.toString());
      if (next === 100) break;
      publisher.publish(`${next++}`);
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });
});

describe('ends', () => {
  test('belong to one at a time, and begin a new epoch when opened again', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    expect(() => publish()).toThrow(expect.objectContaining({ code: 'WIPC_EBUSY' }));
    expect(() => subscribe()).toThrow(expect.objectContaining({ code: 'WIPC_EBUSY' }));
    publisher.publish('before');
    expect(subscriber.take()?.epoch).toBe(1);
    publisher.close();
    subscriber.close();

    publish().publish('after');
    expect(subscribe().take()).toMatchObject({ epoch: 2, sequence: 1, lost: 0 });
  });

  test.each([
    ['WIPC_EROLE', () => channel().publish('detector')],
    ['WIPC_ENOENT', () => client.openSubscriber('nothing', { dir: '/run', service: 'a' })],
    ['WIPC_EINVAL', () => client.openSubscriber('../frames', { dir: '/run', service: 'a' })],
    ['WIPC_ETOOBIG', () => channel().publish().publish(Buffer.alloc(4097))],
  ])('refuse with %s', (code, act) => {
    expect(act).toThrow(expect.objectContaining({ name: 'WherryIpcError', code }));
  });

  test('refuse what is no message', () => {
    const publisher = channel().publish();
    expect(() => publisher.publish(5 as never)).toThrow(TypeError);
    expect(() => publisher.publish('a', { type: -1 })).toThrow(TypeError);
    expect(() => publisher.publish('a', { timeoutMs: 0.5 })).toThrow(TypeError);
  });

  test('that are closed say so', async () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    publisher.close();
    subscriber.close();
    publisher.close();
    expect(() => publisher.publish('a')).toThrow(/closed/);
    await expect(publisher.send('a')).rejects.toThrow(/closed/);
    expect(() => subscriber.take()).toThrow(/closed/);
    expect(await subscriber.ready()).toBe(false);
    for await (const _ of subscriber) throw new Error('A closed subscriber has no message');
  });

  test('a message that does not fit is kept for larger memory', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    publisher.publish('four');
    expect(() => subscriber.takeInto(Buffer.alloc(3))).toThrow(
      expect.objectContaining({ code: 'WIPC_ETOOBIG' }),
    );
    const memory = new Uint32Array(2);
    expect(textOf(subscriber.takeInto(memory))).toBe('four');
    expect(Buffer.from(memory.buffer).toString('latin1', 0, 4)).toBe('four');
  });

  test('the channels of a service are listed', () => {
    const { dir } = channel({ mode: 'latest' });
    const { name, publishers, subscribers, ...geometry } = SPEC;
    const numbers = { ...geometry, publishers: publishers.length, subscribers: subscribers.length };
    expect(client.listChannels({ dir, service: 'camera' })).toEqual([
      { channel: name, mode: 'latest', ...numbers, publish: true, subscribe: false },
    ]);
    expect(client.listChannels({ dir, service: 'stranger' })).toEqual([]);
  });
});

describe('slow subscribers', () => {
  test('of a lossy channel are moved on and told how much they lost', () => {
    const { publish, subscribe } = channel();
    const [publisher, subscriber] = [publish(), subscribe()];
    fill(publisher, 20);
    const messages = subscriber.takeAll();
    expect(messages.map(({ lost }) => lost)).toEqual([16, 0, 0, 0]);
    expect(subscriber.stats()).toMatchObject({ received: 4, overruns: 1, lost: 16, lag: 0 });
  });

  test('of a reliable channel refuse the next message at once, or after a wait that leaves the loop free', async () => {
    const { publish, subscribe } = channel({ mode: 'reliable', blockTimeoutMs: 60_000 });
    const [publisher, subscriber] = [publish(), subscribe()];
    fill(publisher);
    expect(publisher.publish('no room')).toBe(false);
    expect(await publisher.send('no room', { timeoutMs: 30 })).toBe(false);

    const waiting = [publisher.send('a'), publisher.send('b')];
    await until(() => publisher.stats().blocked >= 3);
    expect(() => publisher.publish('c')).toThrow(/await send/);
    const taken = subscriber.takeAll();

    expect(await Promise.all(waiting)).toEqual([true, true]);
    expect([...taken, ...subscriber.takeAll()].map(textOf).slice(8)).toEqual(['a', 'b']);
  });

  test('an abort before there is room means that it is never published', async () => {
    const { publish, subscribe } = channel({ mode: 'reliable', blockTimeoutMs: 60_000 });
    const [publisher, subscriber] = [publish(), subscribe()];
    fill(publisher);
    const abort = new AbortController();
    const sending = publisher.send('never', { signal: abort.signal });
    await until(() => publisher.stats().blocked > 0);
    abort.abort(new Error('changed my mind'));
    await expect(sending).rejects.toThrow('changed my mind');
    const next = publisher.send('next');
    const taken = subscriber.takeAll();
    expect(await next).toBe(true);
    expect([...taken, ...subscriber.takeAll()].map(textOf).slice(8)).toEqual(['next']);
  });

  test('a publisher that is closed while it waits gives up, and can be opened again', async () => {
    const { publish, subscribe } = channel({ mode: 'reliable', blockTimeoutMs: 300 });
    const [publisher] = [publish(), subscribe()];
    fill(publisher);
    const sending = publisher.send('never');
    await until(() => publisher.stats().blocked > 0);
    publisher.close();
    expect(await sending).toBe(false);
    expect(publish().stats()).toMatchObject({ published: 8, epoch: 2 });
  });

  test('that are evicted hold nobody up, and are told what they lost when they come back', () => {
    const { folder, publish, subscribe } = channel({ mode: 'reliable' });
    const [publisher, subscriber] = [publish(), subscribe()];
    fill(publisher);
    expect(publisher.publish('no room')).toBe(false);
    setEvicted(folder, 0, true);
    fill(publisher, 12);
    expect(subscriber.take()).toMatchObject({ sequence: 16, lost: 16 });
    expect(subscriber.stats()).toMatchObject({ overruns: 1, lost: 16 });
  });
});

test('docs/channels.md has every code of the client, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/channels.md'), 'utf8');
  const declared = readFileSync(join(LIBRARY, 'node/index.d.ts'), 'utf8');
  const table = [...text.matchAll(/^\| `(WIPC_E\w+)` \|/gm)].map(([, code]) => code).sort();
  const types = [...declared.matchAll(/^ {2}\| '(WIPC_E\w+)'/gm)].map(([, code]) => code);
  expect(table).toEqual([...types, 'WIPC_EAGAIN'].sort());
});
