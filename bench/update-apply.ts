// A device takes a release with a large new layer: what that costs in memory and written bytes, and how our check of
// a blob compares with the tools.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { busyboxLayer, noiseLayer, serviceRelease } from '../test/support/service-release.ts';
import { until } from '../test/support/until.ts';
import { updatedDevice } from './agent-device.ts';
import { type Bench, median, round } from './bench.ts';
import type { HashedFile } from './hash-file.ts';

const MIB = 1024 * 1024;
const LAYER_BYTES = 160 * MIB;
const ROUNDS = 5;
/** After the first release: its bulk session has closed, what it needed was given back. */
const SETTLE_MS = 20_000;
const APPLY_MS = 300_000;
const HASH = join(import.meta.dirname, 'hash-file.ts');

export const bench: Bench = async () => {
  const { fleet, device, pid, publisher, work, close } = await updatedDevice(`apply-${process.pid}`, 1);
  try {
    const layer = await noiseLayer(work, LAYER_BYTES);
    const layers = [await busyboxLayer(), layer];
    const releaseId = await publisher.publish(serviceRelease('2.0', { 'service-1': { layers } }));
    await pause(SETTLE_MS);
    const before = { rss: statusOf(pid, 'VmRSS'), written: ioOf(pid, 'write_bytes') };
    // From here on VmHWM is the most of what follows: proc(5), clear_refs.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    const begin = performance.now();
    await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
    await until(async () => (await device.status()).update.release?.version === '2.0', { what: 'the offer' });
    await until(
      async () => ['soaking', 'committed', 'rolled_back'].includes((await device.status()).update.phase),
      { timeoutMs: APPLY_MS, what: 'the switch' },
    );
    const seconds = (performance.now() - begin) / 1000;
    const extraMib = (statusOf(pid, 'VmHWM') - before.rss) / MIB;
    const written = ioOf(pid, 'write_bytes') - before.written;
    const hashed = await hashRounds(layer.path);
    const metrics = {
      peak_extra_mib: round(extraMib),
      written_vs_new_data: round(written / layer.size),
      apply_seconds: round(seconds),
      new_data_mib: round(layer.size / MIB),
      hash_vs_tool: round(median(hashed.map(({ ours, fsverity }) => fsverity / ours))),
      hash_vs_sha256sum: round(median(hashed.map(({ ours, sha256sum }) => sha256sum / ours))),
    };
    const secondsOf = (key: 'ours' | 'fsverity' | 'sha256sum') =>
      round(median(hashed.map((sample) => sample[key])));
    const rows = {
      'our check': { seconds: secondsOf('ours') },
      'fsverity digest': { seconds: secondsOf('fsverity') },
      sha256sum: { seconds: secondsOf('sha256sum') },
      'agent while it applies': { seconds: metrics.apply_seconds, 'extra MiB': metrics.peak_extra_mib },
    };
    return { rows, metrics };
  } finally {
    await close();
  }
};

/** The three in rotating order, each reading the same file from the page cache. */
async function hashRounds(path: string) {
  const samples: { ours: number; fsverity: number; sha256sum: number }[] = [];
  const tools = {
    ours: async () => JSON.parse(await ourOutput(path)) as HashedFile,
    fsverity: async () => timed('fsverity', ['digest', path]),
    sha256sum: async () => timed('sha256sum', [path]),
  };
  const names = Object.keys(tools) as (keyof typeof tools)[];
  for (let turn = 0; turn < ROUNDS; turn++) {
    const sample = { ours: 0, fsverity: 0, sha256sum: 0 };
    for (let at = 0; at < names.length; at++) {
      const name = names[(turn + at) % names.length] ?? 'ours';
      sample[name] = (await tools[name]()).seconds;
    }
    samples.push(sample);
  }
  return samples;
}

async function ourOutput(path: string): Promise<string> {
  const child = spawn(process.execPath, [HASH, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (piece) => (text += piece));
  await once(child, 'close');
  return text;
}

/** With the start of the program, some milliseconds. */
function timed(program: string, args: string[]): HashedFile {
  const begin = performance.now();
  execFileSync(program, args, { stdio: 'ignore' });
  return { seconds: (performance.now() - begin) / 1000 };
}

/** Bytes of a line of /proc/<pid>/status. */
const statusOf = (pid: number, key: string): number =>
  1024 *
  Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const ioOf = (pid: number, key: string): number =>
  Number(new RegExp(`^${key}: (\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
