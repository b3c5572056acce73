// How long an update takes a changed service away, against a restart of the same service by hand, which is nothing but
// its own stop and start; and what it does to the services that it does not change. Told by the services themselves.
import type { LogLine } from '../agent/local-api/ports.ts';
import { busyboxLayer, noiseLayer, serviceRelease } from '../test/support/service-release.ts';
import { until } from '../test/support/until.ts';
import { type BenchDevice, updatedDevice } from './agent-device.ts';
import { type Bench, median, round } from './bench.ts';

const ROUNDS = 5;
const UNCHANGED = 4;
const NOISE_BYTES = 2 * 1024 * 1024;
const TIMEOUT_MS = 120_000;
/** Tells the time since boot, to 10 ms, when it begins and when it is told to end. proc(5), uptime. */
const CLOCKED = [
  '/bin/sh',
  '-c',
  [
    'say() { read t _ </proc/uptime; echo "$1 $t"; }',
    'trap "say end; exit 0" TERM',
    'say begin',
    'while true; do sleep 3600 & wait $!; done',
  ].join('\n'),
];

export const bench: Bench = async () => {
  const bench = await updatedDevice(`interruption-${process.pid}`, 1);
  try {
    const base = await busyboxLayer();
    const keepers = Object.fromEntries(
      Array.from({ length: UNCHANGED }, (_none, at) => [
        `keeper-${at}`,
        { layers: [base], args: CLOCKED, cpuMax: 0.2 },
      ]),
    );
    const version = async (at: number) => {
      const layers = [base, await noiseLayer(bench.work, NOISE_BYTES)];
      const changed = { layers, args: CLOCKED };
      await update(bench, `2.${at}`, serviceRelease(`2.${at}`, { ...keepers, changed }));
    };
    await version(0);
    const before = await bench.device.pids();
    const samples: { updateMs: number; restartMs: number }[] = [];
    for (let at = 1; at <= ROUNDS; at++) {
      const restartMs = await away(bench, async () => {
        const { code, stderr } = await bench.device.cli('restart', 'changed');
        if (code !== 0) throw new Error(`Cannot restart: ${stderr}`);
      });
      samples.push({ restartMs, updateMs: await away(bench, () => version(at)) });
    }
    const after = await bench.device.pids();
    const names = Object.keys(keepers);
    const kept = names.filter((name) => after[name] === before[name] && after[name] !== undefined);
    const interruptions = await Promise.all(names.map(async (name) => (await said(bench, name)).length - 1));
    const of = (key: 'updateMs' | 'restartMs') => median(samples.map((sample) => sample[key]));
    const extra = samples.map(({ updateMs, restartMs }) => updateMs - restartMs);
    return {
      rows: {
        'changed, by an update': { 'away ms': round(of('updateMs')) },
        'changed, restarted by hand': { 'away ms': round(of('restartMs')) },
        unchanged: { 'away ms': 0, 'same process': `${kept.length} of ${UNCHANGED}` },
      },
      metrics: {
        extra_down_ms: round(median(extra)),
        update_down_ms: round(of('updateMs')),
        own_stop_and_start_ms: round(of('restartMs')),
        unchanged_interruptions: interruptions.reduce((sum, count) => sum + count),
        unchanged_replaced: UNCHANGED - kept.length,
      },
    };
  } finally {
    await bench.close();
  }
};

async function update(
  { fleet, device, publisher }: BenchDevice,
  version: string,
  release: ReturnType<typeof serviceRelease>,
): Promise<void> {
  const releaseId = await publisher.publish(release);
  await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  await until(
    async () => {
      const { current, update } = await device.status();
      return current?.version === version && update.phase === 'committed';
    },
    { timeoutMs: TIMEOUT_MS, what: `release ${version}` },
  );
}

/** From the moment it was told to end until its next process runs, in ms. */
async function away(bench: BenchDevice, act: () => Promise<void>): Promise<number> {
  const count = (await said(bench, 'changed')).length;
  await act();
  const lines = await until(
    async () => {
      const now = await said(bench, 'changed');
      return now.length >= count + 2 && now.slice(count);
    },
    { timeoutMs: TIMEOUT_MS, what: 'the service to be back' },
  );
  const at = (word: string) => lines.find((line) => line.word === word)?.at ?? Number.NaN;
  return at('begin') - at('end');
}

/** What a service said, oldest first, in ms since boot. */
async function said({ device }: BenchDevice, service: string): Promise<{ word: string; at: number }[]> {
  const { stdout } = await device.cli('logs', service, '--json');
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as LogLine).text.split(' '))
    .filter(([word]) => word === 'begin' || word === 'end')
    .map(([word = '', seconds]) => ({ word, at: 1000 * Number(seconds) }));
}
