// The C library against threads, kills, and a subscriber that tries to write.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeChannel } from '../support/ipc-channel.ts';
import { IpcBench, outcome } from '../support/ipc-programs.ts';

const bench = new IpcBench();
afterAll(() => bench.remove());

const THREADS = ['threads', 'fixture.c'];
const TSAN = ['-O1', '-fsanitize=thread', '-Wl,--wrap=mmap,--wrap=munmap'];
/** ThreadSanitizer of Debian 12 wants the address layout that newer kernels randomize away. */
const threads = (program: string, messages: number) =>
  outcome(['setarch', '-R', program, bench.channels(), String(messages)]);

test('ThreadSanitizer sees no race but the declared one', { timeout: 90_000 }, async () => {
  const program = await bench.compile({ name: 'threads', sources: THREADS, flags: TSAN });

  const ended = await threads(program, 30_000);

  console.log(ended.stdout.trim());
  expect(ended).toMatchObject({ code: 0, stderr: '' });
});

test('ThreadSanitizer would see one', { timeout: 60_000 }, async () => {
  // The payload copied as the shipped build does it, undeclared.
  const library = bench.spoilt('copy.c', 'defined(__SANITIZE_THREAD__)', 'defined(NEVER)');
  const flags = [...TSAN, '-Wno-tsan'];
  const program = await bench.compile({ name: 'threads-spoilt', sources: THREADS, library, flags });

  const ended = await threads(program, 3000);

  expect(ended.stderr).toContain('ThreadSanitizer: data race');
});

describe('kill -9 storms', () => {
  let program: string;
  beforeAll(async () => {
    program = await bench.compile({ name: 'storm', sources: ['storm', 'fixture.c'], flags: ['-O2'] });
  });

  async function storm(mode: string) {
    const ended = await outcome([program, bench.channels(), '1000000', '90', mode]);
    console.log(mode, ended.stdout.trim());
    const counts = JSON.parse(ended.stdout);
    return { ...counts, code: ended.code, kills: Math.min(counts.publisherKills, counts.subscriberKills) };
  }

  test('no torn message in a million, none backward', { timeout: 120_000 }, async () => {
    const counts = await storm('lossy');

    expect(counts).toMatchObject({ code: 0, torn: 0, wrong: 0, backward: 0 });
    expect(counts.taken).toBeGreaterThanOrEqual(1_000_000);
    expect(counts.kills).toBeGreaterThan(10);
    // Some died in the middle of a message: without that, there was nothing to tear.
    expect(counts.killedWriting).toBeGreaterThan(0);
  });

  test('reliable: what was published is taken, nothing lost between', { timeout: 120_000 }, async () => {
    const counts = await storm('reliable');

    expect(counts).toMatchObject({ code: 0, torn: 0, wrong: 0, backward: 0, lost: 0, gaps: 0 });
    expect(counts.kills).toBeGreaterThan(10);
  });
});

test(
  'a publisher that scribbles, cuts and empties its ring harms nobody but itself',
  { timeout: 90_000 },
  async () => {
    const flags = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    const program = await bench.compile({ name: 'chaos', sources: ['chaos', 'fixture.c'], flags });

    const ended = await outcome([program, bench.channels(), '200000']);

    console.log(ended.stdout.trim());
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    // It was heard, and caught: the attack reached the reader.
    const counts = JSON.parse(ended.stdout);
    expect(counts).toMatchObject({ honest: 200_000 });
    expect(Math.min(counts.hostile, counts.torn, counts.resets)).toBeGreaterThan(0);
  },
);

test('a subscriber, root included, writes nothing but its ack file', async () => {
  const program = await bench.compile({ name: 'hostile', sources: ['hostile', 'fixture.c'] });
  const dir = bench.channels();
  const spec = { name: 'frames', publishers: ['camera'], subscribers: ['spy'], slotSize: 4096, depth: 4 };
  const folder = makeChannel(dir, spec);
  const ack = join(folder, 'ack.spy');
  const mounts = [
    `mount --bind ${folder} ${folder}`,
    `mount --bind ${ack} ${ack}`,
    `mount -o remount,bind,ro ${folder}`,
  ];
  const script = [...mounts, `exec ${program} ${dir} frames camera spy`].join(' && ');

  const ended = await outcome(['unshare', '--mount', 'sh', '-c', script]);

  expect(ended).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^2\d attempts refused/),
  });
});
