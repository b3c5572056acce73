import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { channelDesk } from '../../agent/channel-desk.ts';
import type { ChannelMessage } from '../../agent/local-api/ports.ts';
import { serviceChannel } from '../../agent/supervisor/from-manifest.ts';
import type { DesiredServices, ServiceChannel, ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import { type ChannelDefinition, channelBudgetBytes, channelTmpfsBytes } from '../../protocol/channels.ts';
import { channelImage } from '../support/channel-image.ts';
import { tracesOf } from '../support/machine.ts';
import { realSupervisor } from '../support/real-supervisor.ts';
import { shellService } from '../support/service-specs.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;
const FOLDER = '/run/wherry/ipc';
type Parts = Partial<Omit<ServiceSpec, 'digest'>>;

const frames = (change: Partial<ChannelDefinition> = {}): ServiceChannel =>
  serviceChannel('frames', {
    publishers: ['camera'],
    subscribers: ['detector', 'recorder'],
    slotSizeBytes: 64 * 1024,
    depth: 8,
    mode: 'lossy',
    ...change,
  });

/** Real containers, with user ids of their own, on real channels. */
describe('channels between services', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-channels-'));
  const instance = `c${process.pid}`;
  const channelsDir = join(dir, 'run/channels');
  let image: Awaited<ReturnType<typeof channelImage>>;
  let parts: ReturnType<typeof realSupervisor>;

  beforeAll(async () => {
    // The users of containers must be able to get to their files.
    chmodSync(dir, 0o711);
    image = await channelImage(dir);
    parts = begin();
  });
  afterEach(async () => {
    await parts.supervisor.stop({ services: 'stop' });
    const left = () => Object.entries(tracesOf(instance, dir)).filter(([, found]) => found.length > 0);
    // A loop device goes a moment after its last mount.
    await until(() => left().length === 0, { timeoutMs: 3_000 }).catch(() => expect(left()).toEqual([]));
    expect(readdirSync(join(dir, 'run')).includes('channels') ? readdirSync(channelsDir) : []).toEqual([]);
    rmSync(join(dir, 'memory.json'), { force: true });
    parts = begin();
  });
  afterAll(async () => {
    await parts.supervisor.stop({ services: 'keep' });
    rmSync(dir, { recursive: true, force: true });
  });

  function begin(): typeof parts {
    const fresh = realSupervisor(dir, instance, image.blobDir, { isWhole: true });
    fresh.supervisor.start();
    return fresh;
  }
  const service = (name: string, channels: ServiceChannel[] | undefined, more: Parts = {}): ServiceSpec =>
    shellService(image.verity, name, 'exec sleep 1000', { ...(channels && { channels }), ...more });
  const release = (...services: ServiceSpec[]): DesiredServices => ({
    release: { name: 'channels', version: '1', generation: 1 },
    services,
  });
  async function bring(...services: ServiceSpec[]): Promise<void> {
    parts.supervisor.apply(release(...services));
    await until(
      () => {
        const running = parts.supervisor.statuses().filter(({ state }) => state === 'running');
        return parts.supervisor.health().isConverged && running.length === services.length;
      },
      { timeoutMs: 30_000, what: `${services.map(({ name }) => name).join(', ')} to run` },
    );
    await until(
      () =>
        shown().every(({ publishers, subscribers }) =>
          [...publishers, ...subscribers].every(
            ({ service: name, isUp }) => isUp === services.some((each) => each.name === name),
          ),
        ),
      {
        what: 'the peers to be told',
      },
    );
  }
  /** A camera and its two readers. */
  const bringAll = (channel: ServiceChannel): Promise<void> =>
    bring(...['camera', 'detector', 'recorder'].map((name) => service(name, [channel])));
  const shown = () => parts.channels.status();
  const framesNow = () => {
    const status = shown().find(({ name }) => name === 'frames');
    if (status === undefined) throw new Error('There is no channel frames');
    return status;
  };
  const run = async (name: string, script: string): Promise<string> => {
    const { output } = await parts.runtime.exec(name, ['/bin/sh', '-c', script], AbortSignal.timeout(15_000));
    return output.trim();
  };
  const publish = (name: string, ...lines: string[]): Promise<string> =>
    run(name, `printf '%s\\n' ${lines.join(' ')} | wherry-ipc pub frames`);
  const take = (name: string, count: number): Promise<string> =>
    run(name, `wherry-ipc sub frames --raw --count ${count} --timeout 3000`);
  const told = (code: string) => parts.events.filter((event) => event.code === code);
  const hostFile = (file: string, channel = frames()): string => join(channelsDir, channel.id, file);

  test('are seen by those that the release names, each file as it should be, and by nobody else', async () => {
    const channel = frames();
    await bring(
      service('camera', [channel]),
      service('detector', [channel]),
      service('recorder', [channel]),
      service('stranger', undefined),
    );
    const files = (name: string) => run(name, `cd ${FOLDER}/frames && ls`).then((text) => text.split('\n'));
    expect(await files('camera')).toEqual(['ack.detector', 'ack.recorder', 'meta', 'ring.camera']);
    expect(await files('detector')).toEqual(['ack.detector', 'meta', 'ring.camera']);
    expect(await files('recorder')).toEqual(['ack.recorder', 'meta', 'ring.camera']);
    expect(await run('stranger', `ls ${FOLDER}; env | grep WHERRY_IPC`)).toContain('No such file');
    expect(await run('detector', 'echo $WHERRY_IPC_DIR $WHERRY_SERVICE')).toBe('/run/wherry/ipc detector');
    const writable = (name: string) =>
      run(name, `grep ' ${FOLDER}/frames/' /proc/self/mountinfo`).then((text) =>
        text.split('\n').flatMap((line) => {
          const [, , , , point = '', options = ''] = line.split(' ');
          expect(options).toMatch(/nosuid.*nodev.*noexec/);
          return options.startsWith('rw') ? [point.split('/').at(-1)] : [];
        }),
      );
    expect(await writable('camera')).toEqual(['ring.camera']);
    expect(await writable('detector')).toEqual(['ack.detector']);
  });

  test('carry messages from container to container, and count them', async () => {
    await bringAll(frames());
    await publish('camera', 'one', 'two', 'three');
    expect(await take('detector', 3)).toBe('onetwothree');
    expect(await run('camera', 'wherry-ipc stat frames')).toContain('published 3, 11 bytes');
    const { publishers, subscribers, mode, depth } = framesNow();
    expect({ mode, depth }).toEqual({ mode: 'lossy', depth: 8 });
    expect(publishers).toMatchObject([
      { service: 'camera', isUp: true, starts: 1, messages: 3, bytes: 11, epoch: 1 },
    ]);
    expect(subscribers).toMatchObject([
      { service: 'detector', isUp: true, received: 3, lag: 0, isEvicted: false },
      { service: 'recorder', isUp: true, received: 0, lag: 3 },
    ]);
  });

  test('have several publishers, each with a ring of its own, and readers that publish too', async () => {
    const channel = frames({ publishers: ['camera', 'recorder'], subscribers: ['detector', 'recorder'] });
    await bringAll(channel);
    await publish('camera', 'a');
    await publish('recorder', 'b');
    expect([...(await take('detector', 2))].sort()).toEqual(['a', 'b']);
    expect([...(await take('recorder', 2))].sort()).toEqual(['a', 'b']);
    const write = (name: string, file: string) => run(name, `channel-probe write ${FOLDER}/frames/${file}`);
    expect(await write('recorder', 'ring.camera')).toMatch(/^open-rw 13$/m);
    expect(await run('recorder', `channel-probe own ${FOLDER}/frames/ring.recorder`)).toMatch(/^open ok$/m);
  });

  test('cannot be written by a reader, though it is root in its container with all rights that has there', async () => {
    const channel = frames();
    const root = {
      uid: 0,
      gid: 0,
      security: {
        readOnlyRoot: false,
        capabilities: [
          'CAP_CHOWN',
          'CAP_DAC_OVERRIDE',
          'CAP_FOWNER',
          'CAP_FSETID',
          'CAP_SETUID',
          'CAP_SYS_PTRACE',
        ],
      },
    };
    await bring(
      service('camera', [channel]),
      service('detector', [channel], root),
      service('recorder', [channel], {
        security: { ...root.security, seccomp: 'unconfined' },
        uid: 0,
        gid: 0,
      }),
    );
    for (const reader of ['detector', 'recorder']) {
      for (const file of ['ring.camera', 'meta']) {
        const lines = (await run(reader, `channel-probe write ${FOLDER}/frames/${file}`)).split('\n');
        const [ways, [open]] = [
          lines.filter((line) => !line.startsWith('open-ro')),
          lines.filter((line) => line.startsWith('open-ro')),
        ];
        expect(open).toBe('open-ro ok');
        expect(ways.length).toBe(13);
        expect(
          ways.filter((line) => line.endsWith(' ok')),
          `${reader} on ${file}`,
        ).toEqual([]);
      }
    }
    // An unconfined one gets nothing in a user and mount namespace of its own either.
    const again = await run('recorder', `unshare -U -m channel-probe write ${FOLDER}/frames/ring.camera`);
    expect(again.split('\n').filter((line) => line.endsWith(' ok'))).toEqual(['open-ro ok']);
    expect(statSync(hostFile('ring.camera')).size).toBeGreaterThan(8 * 64 * 1024);
    await publish('camera', 'still');
    expect(await take('detector', 1)).toBe('still');
  });

  test('cost their services nothing: all of the memory is there before, in a cgroup of its own', async () => {
    const channel = frames({
      slotSizeBytes: MIB,
      depth: 32,
      publishers: ['camera'],
      subscribers: ['detector'],
    });
    const small = { resources: { memoryMaxBytes: 4 * MIB, cpuMax: 1, pidsMax: 16 } };
    await bring(service('camera', [channel], small), service('detector', [channel], small));
    const tmpfs = channelTmpfsBytes(channel, statfsSync('/proc').bsize);
    expect(framesNow().budgetBytes).toBe(channelBudgetBytes(channel));
    await until(() => framesNow().usedBytes === tmpfs, { what: 'every page to be charged to the channel' });
    const before = (await parts.cgroups.usage('camera'))?.memoryBytes ?? 0;
    expect(await run('camera', `channel-probe fill ${FOLDER}/frames/ring.camera`)).toMatch(/^filled 33/);
    const { memoryBytes = 0, oomKills } = (await parts.cgroups.usage('camera')) ?? {};
    // 33 MiB were written by a service that has 4.
    expect(oomKills).toBe(0);
    expect(memoryBytes - before).toBeLessThan(2 * MIB);
    expect(framesNow().usedBytes).toBe(tmpfs);
    // Not a page more fits.
    expect(await run('camera', `channel-probe own ${FOLDER}/frames/ring.camera | grep grow`)).toBe('grow 28');
  });

  test('outlive restarts of their services: what was published is there, and goes on', async () => {
    await bringAll(frames());
    await publish('camera', 'before');
    const made = framesNow().since;
    for (const name of ['camera', 'detector']) expect(parts.supervisor.restart(name, 'ada')).toBe('accepted');
    await until(() => framesNow().publishers[0]?.starts === 2 && parts.supervisor.health().isConverged, {
      what: 'the camera to run again',
    });
    await until(() => framesNow().subscribers.every(({ isUp }) => isUp), {
      what: 'the detector to run again',
    });
    await publish('camera', 'after');
    expect(await take('detector', 2)).toBe('beforeafter');
    expect(framesNow()).toMatchObject({ since: made, publishers: [{ messages: 2, epoch: 2 }] });
  });

  test('outlive the agent, which takes them over as they are', async () => {
    await bringAll(frames());
    await publish('camera', 'before');
    const { ino, dev } = statSync(hostFile('ring.camera'));
    const made = framesNow().since;
    await parts.supervisor.stop({ services: 'keep' });
    parts = begin();
    await bringAll(frames());
    expect(statSync(hostFile('ring.camera'))).toMatchObject({ ino, dev });
    expect(framesNow()).toMatchObject({ since: made, publishers: [{ starts: 1, messages: 1 }] });
    expect(told('repair.channel')).toEqual([]);
    expect(await take('recorder', 1)).toBe('before');
  });

  test('begin anew where the release changes them: nobody reads a stale message, and the old one goes', async () => {
    await bringAll(frames());
    await publish('camera', 'old');
    const deeper = frames({ depth: 16, slotSizeBytes: 128 });
    await bringAll(deeper);
    await until(() => readdirSync(channelsDir).length === 1, { what: 'the old channel to go' });
    expect(readdirSync(channelsDir)).toEqual([deeper.id]);
    expect(framesNow()).toMatchObject({ depth: 16, publishers: [{ messages: 0, epoch: 0, starts: 1 }] });
    await publish('camera', 'new');
    expect(await take('detector', 1)).toBe('new');
    expect(readFileSync(hostFile('meta', deeper)).readUInt32LE(12)).not.toBe(0);
  });

  test('are made again from what a killed agent left half made, and what nobody wants is collected', async () => {
    await bringAll(frames());
    await parts.supervisor.stop({ services: 'stop' });
    parts = realSupervisor(dir, instance, image.blobDir, { isWhole: true });
    const { makeChannel } = await import('../../agent/supervisor/channels/make-channel.ts');
    const { openChannelCgroups } = await import('../../agent/supervisor/cgroup/detect.ts');
    const cgroups = openChannelCgroups(instance);
    const owners = new Map<string, number>();
    const half = frames();
    const unwanted = frames({ depth: 4 });
    for (const channel of [half, unwanted])
      await makeChannel(channel, { path: join(channelsDir, channel.id), cgroups, owners });
    writeFileSync(hostFile('meta', half), Buffer.alloc(8192));
    cgroups.make('nobody.000000000000', MIB);
    parts.supervisor.start();
    await bringAll(half);
    expect(readdirSync(channelsDir)).toEqual([half.id]);
    expect(cgroups.names()).toEqual([half.id]);
    // It had never been whole, so there was nothing to set right.
    expect(told('repair.channel')).toEqual([]);
    await publish('camera', 'fine');
    expect(await take('detector', 1)).toBe('fine');
  });

  test('are set right when their publisher cuts or spoils its ring, which is told with its name', async () => {
    await bringAll(frames());
    const own = await run('camera', `channel-probe own ${FOLDER}/frames/ring.camera`);
    expect(own.split('\n')).toEqual([
      'open ok',
      'punch 1',
      'remove 1',
      'fallocate ok',
      'dontneed ok',
      'grow 28',
    ]);
    // A reader that waits all the time: it must neither die nor see anything that is no message.
    const reading = run('detector', 'wherry-ipc sub frames --json --count 3 --timeout 12000; echo exit $?');
    await until(() => framesNow().subscribers[0]?.received !== undefined);
    await publish('camera', 'first');
    await until(() => framesNow().subscribers[0]?.received === 1, { what: 'the first message to be read' });
    expect(await run('camera', `channel-probe garble ${FOLDER}/frames/ring.camera`)).toBe('garbled');
    expect(await run('camera', `channel-probe cut ${FOLDER}/frames/ring.camera 4096`)).toBe('truncate ok');
    await until(() => told('repair.channel').length > 0, { what: 'the report' });
    expect(told('repair.channel').every(({ service: blamed }) => blamed === 'camera')).toBe(true);
    const size = frames().depth * (64 + 64 * 1024) + 256;
    await until(() => statSync(hostFile('ring.camera')).size === size, { what: 'the ring to be whole' });
    expect(statSync(hostFile('ring.camera')).blocks * 512).toBeGreaterThanOrEqual(size);
    // It follows wherever the count of the publisher has jumped to.
    const isDone = reading.then(() => true);
    while (!(await Promise.race([isDone, publish('camera', 'later').then(() => false)])));
    const lines = (await reading).split('\n');
    expect(lines.pop()).toBe('exit 0');
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual([
      'first',
      'later',
      'later',
    ]);
    expect(framesNow().fault).toBeUndefined();
  });

  test('evict a subscriber that holds a reliable publisher up, and take it back when it keeps up again', async () => {
    await bringAll(frames({ mode: 'reliable', depth: 4, slotSizeBytes: 64 }));
    // Everybody attaches; then the recorder sleeps.
    await publish('camera', 'hello');
    await Promise.all([take('detector', 1), take('recorder', 1)]);
    const detecting = run('detector', 'wherry-ipc sub frames --raw --count 12 --timeout 12000 | wc -c');
    const lines = Array.from({ length: 12 }, (_, index) => `m${10 + index}`);
    await run('camera', `printf '%s\\n' ${lines.join(' ')} | wherry-ipc pub frames --timeout 10000`);
    expect(told('channel.evicted')).toMatchObject([{ service: 'recorder' }]);
    expect(framesNow().subscribers).toMatchObject([
      { service: 'detector', isEvicted: false, evictions: 0 },
      { service: 'recorder', isEvicted: true, evictions: 1 },
    ]);
    expect(await detecting).toBe('36');
    // It jumps to what is still there, counts the overrun, and is waited for again.
    expect(await take('recorder', 2)).toBe('m20m21');
    await until(() => !framesNow().subscribers[1]?.isEvicted, { what: 'the recorder to be taken back' });
    expect(told('channel.restored')).toMatchObject([{ service: 'recorder' }]);
    expect(framesNow().subscribers[1]).toMatchObject({ overruns: 1, evictions: 1, lag: 0 });
  });

  test('tell of a subscriber that is overtaken, and of a publisher that begins anew', async () => {
    await bringAll(frames());
    await publish('camera', 'one');
    await take('detector', 1);
    await until(() => framesNow().publishers[0]?.messagesPerSecond !== undefined, { what: 'two looks' });
    await publish('camera', ...Array.from({ length: 20 }, (_, index) => `n${index}`));
    await take('detector', 1);
    await until(() => told('channel.overruns').length > 0, { what: 'the report' });
    expect(told('channel.overruns')).toMatchObject([{ service: 'detector' }]);
    expect(framesNow().subscribers[0]?.overruns).toBe(1);
  });

  test('can be read along without a trace', async () => {
    await bringAll(frames());
    const desk = channelDesk(parts.channels);
    const stop = new AbortController();
    const seen: ChannelMessage[] = [];
    const messages = desk.tap('frames', { maxBytes: 4, signal: stop.signal });
    const tapping = (async () => {
      for await (const message of messages ?? []) seen.push(message);
    })();
    await until(async () => {
      if (seen.length === 0) await publish('camera', 'hello');
      return seen.length > 0;
    });
    const before = Date.now();
    await publish('camera', 'world');
    await until(() => seen.length > 1, { what: 'the message' });
    stop.abort();
    await tapping;
    const last = seen.at(-1);
    expect(last).toMatchObject({ publisher: 'camera', length: 5, type: 0, lost: 0 });
    expect(Buffer.from(last?.data ?? '', 'base64').toString()).toBe('worl');
    expect(last?.at).toBeGreaterThan(before - 1000);
    expect(last?.at).toBeLessThanOrEqual(Date.now());
    expect(framesNow().subscribers).toMatchObject([{ received: 0 }, { received: 0 }]);
    expect(desk.tap('nothing', { maxBytes: 4, signal: stop.signal })).toBeUndefined();
  });

  test('that cannot be made hold up only those who are on them, with a reason', async () => {
    const { openChannelCgroups } = await import('../../agent/supervisor/cgroup/detect.ts');
    expect(existsSync(channelsDir)).toBe(true);
    const channel = frames();
    // Somebody else's file stands where the channel's folder is to be.
    writeFileSync(join(channelsDir, channel.id), '');
    parts.supervisor.apply(release(service('camera', [channel]), service('stranger', undefined)));
    await until(() => parts.supervisor.why('camera')?.some(({ code }) => code === 'fail.channel'), {
      what: 'the reason',
    });
    await until(() =>
      parts.supervisor.statuses().some(({ name, state }) => name === 'stranger' && state === 'running'),
    );
    rmSync(join(channelsDir, channel.id));
    await until(() => parts.supervisor.health().isConverged, {
      timeoutMs: 20_000,
      what: 'the camera to run',
    });
    expect(openChannelCgroups(instance).names()).toEqual([channel.id]);
  });
});
