import { readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { channelDesk } from '../../agent/channel-desk.ts';
import type { ChannelMessage } from '../../agent/local-api/ports.ts';
import { openChannelCgroups } from '../../agent/supervisor/cgroup/detect.ts';
import { makeChannel } from '../../agent/supervisor/channels/make-channel.ts';
import { channelBudgetBytes, channelTmpfsBytes } from '../../protocol/channels.ts';
import { ChannelBench, FRAMES, frames, RING, releaseOf } from '../support/channel-bench.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;

describe('channels between services', () => {
  let bench: ChannelBench;
  beforeAll(async () => {
    bench = await ChannelBench.open('c');
  });
  afterEach(() => bench.clear());
  afterAll(() => bench.close());

  test('are seen by those that the release names, each file as it should be, and by nobody else', async () => {
    const channel = frames();
    await bench.bring(
      bench.service('camera', [channel]),
      bench.service('detector', [channel]),
      bench.service('recorder', [channel]),
      bench.service('stranger'),
    );
    const files = async (name: string) => (await bench.run(name, `cd ${FRAMES} && ls`)).split('\n');
    expect(await files('camera')).toEqual(['ack.detector', 'ack.recorder', 'meta', 'ring.camera']);
    expect(await files('detector')).toEqual(['ack.detector', 'meta', 'ring.camera']);
    expect(await files('recorder')).toEqual(['ack.recorder', 'meta', 'ring.camera']);
    expect(await bench.run('stranger', 'ls /run/wherry; env | grep WHERRY_IPC')).toContain('No such file');
    expect(await bench.run('detector', 'echo $WHERRY_IPC_DIR $WHERRY_SERVICE')).toBe(
      '/run/wherry/ipc detector',
    );
    const mounts = async (name: string) => {
      const lines = (await bench.run(name, `grep ' ${FRAMES}/' /proc/self/mountinfo`)).split('\n');
      return lines.map((line) => line.split(' ').slice(4, 6) as [string, string]);
    };
    for (const [name, own] of [
      ['camera', 'ring.camera'],
      ['detector', 'ack.detector'],
    ] as const) {
      const all = await mounts(name);
      expect(all.every(([, options]) => /nosuid.*nodev.*noexec/.test(options))).toBe(true);
      const writable = all.filter(([, options]) => options.startsWith('rw')).map(([point]) => point);
      expect(writable).toEqual([`${FRAMES}/${own}`]);
    }
  });

  test('carry messages from container to container, and count them', async () => {
    await bench.bringAll(frames());
    await bench.publish('camera', 'one', 'two', 'three');
    expect(await bench.take('detector', 3)).toBe('onetwothree');
    expect(await bench.run('camera', 'wherry-ipc stat frames')).toContain('published 3, 11 bytes');
    const { publishers, subscribers, mode, depth } = bench.frames();
    expect({ mode, depth }).toEqual({ mode: 'lossy', depth: 8 });
    expect(publishers).toMatchObject([
      { service: 'camera', isUp: true, starts: 1, messages: 3, bytes: 11, epoch: 1 },
    ]);
    expect(subscribers).toMatchObject([
      { service: 'detector', isUp: true, received: 3, lag: 0, isEvicted: false },
      { service: 'recorder', isUp: true, received: 0, lag: 3 },
    ]);
  });

  test('have several publishers, each with a ring of its own, readers that publish too, and other runtimes', async () => {
    const both = frames({ publishers: ['camera', 'recorder'], subscribers: ['detector', 'recorder'] });
    await bench.bring(
      bench.service('camera', [both]),
      bench.service('detector', [both], { runtime: 'runc' }),
      bench.service('recorder', [both], { runtime: 'runc' }),
    );
    await bench.publish('camera', 'a');
    await bench.publish('recorder', 'b');
    expect([...(await bench.take('detector', 2))].sort()).toEqual(['a', 'b']);
    expect([...(await bench.take('recorder', 2))].sort()).toEqual(['a', 'b']);
    expect(await bench.run('recorder', `channel-probe write ${RING}`)).toMatch(/^open-rw 13$/m);
    expect(await bench.run('recorder', `channel-probe own ${FRAMES}/ring.recorder`)).toMatch(/^open ok$/m);
  });

  test('cost their services nothing: all of the memory is there before, in a cgroup of its own', async () => {
    const channel = frames({ slotSizeBytes: MIB, depth: 32, subscribers: ['detector'] });
    const small = { resources: { memoryMaxBytes: 4 * MIB, cpuMax: 1, pidsMax: 16 } };
    await bench.bring(bench.service('camera', [channel], small), bench.service('detector', [channel], small));
    const tmpfs = channelTmpfsBytes(channel, statfsSync('/proc').bsize);
    expect(bench.frames().budgetBytes).toBe(channelBudgetBytes(channel));
    await until(() => bench.frames().usedBytes === tmpfs, { what: 'every page to be charged to it' });
    const used = () => bench.parts.cgroups.usage('camera');
    const before = (await used())?.memoryBytes ?? 0;
    expect(await bench.run('camera', `channel-probe fill ${RING}`)).toMatch(/^filled 33/);
    const after = await used();
    // 33 MiB were written by a service that has 4.
    expect(after?.oomKills).toBe(0);
    expect((after?.memoryBytes ?? Infinity) - before).toBeLessThan(2 * MIB);
    expect(bench.frames().usedBytes).toBe(tmpfs);
  });

  test('outlive restarts of their services: what was published is there, and goes on', async () => {
    await bench.bringAll(frames());
    await bench.publish('camera', 'before');
    const { since } = bench.frames();
    for (const name of ['camera', 'detector'])
      expect(bench.parts.supervisor.restart(name, 'ada')).toBe('accepted');
    await until(
      () => bench.frames().publishers[0]?.starts === 2 && bench.parts.supervisor.health().isConverged,
      {
        what: 'the camera to run again',
      },
    );
    await until(() => bench.frames().subscribers.every(({ isUp }) => isUp), { what: 'the detector to run' });
    await bench.publish('camera', 'after');
    expect(await bench.take('detector', 2)).toBe('beforeafter');
    expect(bench.frames()).toMatchObject({ since, publishers: [{ messages: 2, epoch: 2 }] });
  });

  test('outlive the agent, which takes them over as they are', async () => {
    await bench.bringAll(frames());
    await bench.publish('camera', 'before');
    const { ino, dev } = statSync(bench.file('ring.camera'));
    const { since } = bench.frames();
    await bench.changeAgents();
    await bench.bringAll(frames());
    expect(statSync(bench.file('ring.camera'))).toMatchObject({ ino, dev });
    expect(bench.frames()).toMatchObject({ since, publishers: [{ starts: 1, messages: 1 }] });
    expect(bench.told('repair.channel')).toEqual([]);
    expect(await bench.take('recorder', 1)).toBe('before');
  });

  test('begin anew where the release changes them: nobody reads a stale message, and the old one goes', async () => {
    await bench.bringAll(frames());
    await bench.publish('camera', 'old');
    const number = (channel = frames()) => readFileSync(bench.file('meta', channel)).readUInt32LE(12);
    const before = number();
    const deeper = frames({ depth: 16, slotSizeBytes: 128 });
    await bench.bringAll(deeper);
    await until(() => readdirSync(bench.channelsDir).length === 1, { what: 'the old channel to go' });
    expect(readdirSync(bench.channelsDir)).toEqual([deeper.id]);
    expect(number(deeper)).not.toBe(before);
    expect(bench.frames()).toMatchObject({ depth: 16, publishers: [{ messages: 0, epoch: 0, starts: 1 }] });
    await bench.publish('camera', 'new');
    expect(await bench.take('detector', 1)).toBe('new');
  });

  test('are made again from what a killed agent left half made, and what nobody wants is collected', async () => {
    const [half, unwanted] = [frames(), frames({ depth: 4 })];
    const cgroups = openChannelCgroups(bench.instance);
    for (const channel of [half, unwanted])
      await makeChannel(channel, {
        path: join(bench.channelsDir, channel.id),
        cgroups,
        owners: new Map(),
      });
    // Meta is what is written last.
    writeFileSync(bench.file('meta', half), Buffer.alloc(8192));
    cgroups.make('nobody.000000000000', MIB);
    await bench.bringAll(half);
    expect(readdirSync(bench.channelsDir)).toEqual([half.id]);
    expect(cgroups.names()).toEqual([half.id]);
    // It had never been whole, so there was nothing to set right.
    expect(bench.told('repair.channel')).toEqual([]);
    await bench.publish('camera', 'fine');
    expect(await bench.take('detector', 1)).toBe('fine');
  });

  test('can be read along without a trace', async () => {
    await bench.bringAll(frames());
    const desk = channelDesk(bench.parts.channels);
    const stop = new AbortController();
    const seen: ChannelMessage[] = [];
    const messages = desk.tap('frames', { maxBytes: 4, signal: stop.signal });
    const tapping = (async () => {
      for await (const message of messages ?? []) seen.push(message);
    })();
    await until(async () => {
      if (seen.length === 0) await bench.publish('camera', 'hello');
      return seen.length > 0;
    });
    const before = Date.now();
    await bench.publish('camera', 'world');
    await until(() => Buffer.from(seen.at(-1)?.data ?? '', 'base64').toString() === 'worl', {
      what: 'the message',
    });
    stop.abort();
    await tapping;
    const last = seen.at(-1);
    expect(last).toMatchObject({ publisher: 'camera', length: 5, type: 0, lost: 0 });
    expect(last?.at).toBeGreaterThan(before - 1000);
    expect(last?.at).toBeLessThanOrEqual(Date.now() + 1000);
    expect(bench.frames().subscribers).toMatchObject([{ received: 0 }, { received: 0 }]);
    expect(desk.tap('nothing', { maxBytes: 4, signal: stop.signal })).toBeUndefined();
  });

  test('that could not be made hold up only those who are on them, with a reason', async () => {
    const channel = frames();
    // Somebody else's file stands where its folder is to be.
    writeFileSync(join(bench.channelsDir, channel.id), '');
    const { supervisor } = bench.parts;
    supervisor.apply(releaseOf(bench.service('camera', [channel]), bench.service('stranger')));
    await until(() => supervisor.why('camera')?.some(({ code }) => code === 'fail.channel'), {
      what: 'the reason',
    });
    await until(() =>
      supervisor.statuses().some(({ name, state }) => name === 'stranger' && state === 'running'),
    );
    rmSync(join(bench.channelsDir, channel.id));
    await until(() => supervisor.health().isConverged, { timeoutMs: 20_000, what: 'the camera to run' });
    expect(bench.frames().publishers).toMatchObject([{ service: 'camera', messages: 0 }]);
  });
});
