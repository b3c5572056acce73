import { statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ChannelBench, FRAMES, frames, RING } from '../support/channel-bench.ts';
import { until } from '../support/until.ts';

/** All that may work in a user namespace. */
const RIGHTS = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_SETUID', 'CAP_SYS_PTRACE'];
const ROOT = { uid: 0, gid: 0, security: { readOnlyRoot: false, capabilities: RIGHTS } };

const done = (lines: string[]): string[] => lines.filter((line) => line.endsWith(' ok'));

describe('on a channel', () => {
  let bench: ChannelBench;
  beforeAll(async () => {
    bench = await ChannelBench.open('h');
  });
  afterEach(() => bench.clear());
  afterAll(() => bench.close());

  /** Of what was tried, what came of it: "open-rw 30". */
  const tried = async (service: string, file: string, before = ''): Promise<string[]> =>
    (await bench.run(service, `${before} channel-probe write ${FRAMES}/${file}`)).split('\n');

  test('a reader cannot write, though it is root in its container with all rights that has there', async () => {
    const channel = frames({ subscribers: ['detector', 'recorder', 'watcher'] });
    const unconfined = { ...ROOT, security: { ...ROOT.security, seccomp: 'unconfined' as const } };
    const hostIds = { uid: 0, gid: 0, security: { ...ROOT.security, userNamespace: 'host' as const } };
    await bench.bring(
      bench.service('camera', [channel]),
      bench.service('detector', [channel], ROOT),
      bench.service('recorder', [channel], unconfined),
      // With the ids of the machine: its root is the agent's own user, and yet the files are not to be written.
      bench.service('watcher', [channel], hostIds),
    );
    for (const reader of ['detector', 'recorder', 'watcher']) {
      for (const file of ['ring.camera', 'meta']) {
        const lines = await tried(reader, file);
        expect(lines.length).toBe(14);
        expect(done(lines), `${reader} on ${file}`).toEqual(['open-ro ok']);
      }
    }
    // Nor in a user and mount namespace of its own, in which it may mount.
    expect(done(await tried('recorder', 'ring.camera', 'unshare -U -m'))).toEqual(['open-ro ok']);
    await bench.publish('camera', 'still');
    expect(await bench.take('detector', 1)).toBe('still');
  });

  test('a publisher that takes pages out is refused, and one that grows its ring finds no room', async () => {
    await bench.bringAll(frames());
    const own = await bench.run('camera', `channel-probe own ${RING}`);
    expect(own.split('\n')).toEqual([
      'open ok',
      'punch 1',
      'remove 1',
      'fallocate ok',
      'dontneed ok',
      'grow 28',
    ]);
  });

  test('a publisher that spoils and cuts its ring harms no reader, is told by name, and the ring is whole again', async () => {
    await bench.bringAll(frames());
    const whole = statSync(bench.file('ring.camera')).size;
    // A reader that waits all the time: it must neither die nor give what is no message.
    const reading = bench.run(
      'detector',
      'wherry-ipc sub frames --json --count 3 --timeout 15000; echo exit $?',
    );
    await until(async () => {
      await bench.publish('camera', 'first');
      return bench.frames().subscribers[0]?.received === 1;
    });
    expect(await bench.run('camera', `channel-probe garble ${RING}`)).toBe('garbled');
    expect(await bench.run('camera', `channel-probe cut ${RING} 4096`)).toBe('truncate ok');
    await until(() => bench.told('repair.channel').length > 0, { what: 'the report' });
    await until(() => statSync(bench.file('ring.camera')).size === whole, { what: 'the ring to be whole' });
    expect(statSync(bench.file('ring.camera')).blocks * 512).toBeGreaterThanOrEqual(whole);
    expect(new Set(bench.told('repair.channel').map(({ service }) => service))).toEqual(new Set(['camera']));
    // It follows wherever the count of the publisher has jumped to.
    const isDone = reading.then(() => true);
    const again = () => bench.publish('camera', 'later').then(() => false);
    await until(() => Promise.race([isDone, again()]), { timeoutMs: 15_000, what: 'the reader' });
    const lines = (await reading).split('\n');
    expect(lines.pop()).toBe('exit 0');
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual([
      'first',
      'later',
      'later',
    ]);
    expect(bench.frames().fault).toBeUndefined();
  });

  test('a subscriber that holds a reliable publisher up is evicted, and taken back when it keeps up again', async () => {
    await bench.bringAll(frames({ mode: 'reliable', depth: 4, slotSizeBytes: 64 }));
    // Everybody attaches; then the recorder sleeps.
    await bench.publish('camera', 'hello');
    await Promise.all([bench.take('detector', 1), bench.take('recorder', 1)]);
    const detecting = bench.run('detector', 'wherry-ipc sub frames --raw --count 12 --timeout 15000 | wc -c');
    const lines = Array.from({ length: 12 }, (_, index) => `m${10 + index}`);
    await bench.run('camera', `printf '%s\\n' ${lines.join(' ')} | wherry-ipc pub frames --timeout 15000`);
    expect(bench.told('channel.evicted')).toMatchObject([{ service: 'recorder' }]);
    expect(bench.frames().subscribers).toMatchObject([
      { service: 'detector', isEvicted: false, evictions: 0 },
      { service: 'recorder', isEvicted: true, evictions: 1 },
    ]);
    // None of its messages is lost to the other.
    expect(await detecting).toBe('36');
    expect(await bench.take('recorder', 2)).toBe('m20m21');
    await until(() => !bench.frames().subscribers[1]?.isEvicted, { what: 'the recorder to be taken back' });
    expect(bench.told('channel.restored')).toMatchObject([{ service: 'recorder' }]);
    expect(bench.frames().subscribers[1]).toMatchObject({ overruns: 1, evictions: 1, lag: 0 });
  });

  test('a subscriber that is overtaken is told of', async () => {
    await bench.bringAll(frames());
    await bench.publish('camera', 'one');
    await bench.take('detector', 1);
    await until(() => bench.frames().publishers[0]?.messagesPerSecond !== undefined, { what: 'two looks' });
    await bench.publish('camera', ...Array.from({ length: 20 }, (_, index) => `n${index}`));
    await bench.take('detector', 1);
    await until(() => bench.told('channel.overruns').length > 0, { what: 'the report' });
    expect(bench.told('channel.overruns')).toMatchObject([{ service: 'detector' }]);
    expect(bench.frames().subscribers[0]?.overruns).toBe(1);
  });
});
