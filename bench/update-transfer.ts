// The same bytes from one server process to one device and to twenty, in turn: over MQTT, by plain GETs, and by the
// agent's own HTTPS source. All with the device's certificate.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LIMITS } from '../protocol/limits.ts';
import { blobObject } from '../protocol/objects.ts';
import { type ApartFleet, type TestDevice, TestFleet } from '../test/support/fleet-server.ts';
import { noiseLayer, Publisher, serviceRelease } from '../test/support/service-release.ts';
import { makeSigner } from '../test/support/signed-release.ts';
import { type Bench, median, round } from './bench.ts';
import type { FetchedObject, FetchObjectJob } from './fetch-object.ts';

const MIB = 1024 * 1024;
const MANY = 20;
const ROUNDS = 6;
const BYTES = { one: 64 * MIB, many: 8 * MIB };
const FETCH = join(import.meta.dirname, 'fetch-object.ts');

type Over = FetchObjectJob['over'];
const OVER: Over[] = ['mqtt', 'get', 'https'];
interface Sample {
  megabytesPerSecond: number;
  deviceCpuMsPerMb: number;
  serverCpuMsPerMb: number;
  spread: number;
}

export const bench: Bench = async () => {
  const work = mkdtempSync(join(tmpdir(), 'wherry-bench-transfer-'));
  const apart = await TestFleet.startApart();
  try {
    const { fleet } = apart;
    const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
    const devices: TestDevice[] = [];
    for (let index = 0; index < MANY; index++) devices.push(await fleet.device(`device-${index}`));
    const layers = [await noiseLayer(work, BYTES.one), await noiseLayer(work, BYTES.many)];
    await publisher.upload(serviceRelease('1.0', { web: { layers } }));
    const [large, small] = layers.map(({ verity, size }) => ({
      object: blobObject(verity),
      chunks: Math.ceil(size / LIMITS.chunkBytes),
    }));
    if (!large || !small) throw new Error('Cannot measure: no object was made');
    const one = await inTurn((over) => fetched(apart, over, devices.slice(0, 1), large));
    const many = await inTurn((over) => fetched(apart, over, devices, small));
    return {
      rows: Object.fromEntries([...rowsOf('one device', one), ...rowsOf(`${MANY} devices`, many)]),
      metrics: { ...metricsOf('', one), ...metricsOf(`_${MANY}`, many) },
    };
  } finally {
    await apart.fleet.close();
    rmSync(work, { recursive: true, force: true });
  }
};

/** All in each round, the first of them changing: what else the machine does falls on all. */
async function inTurn(measure: (over: Over) => Promise<Sample>): Promise<Record<Over, Sample[]>> {
  const samples: Record<Over, Sample[]> = { mqtt: [], get: [], https: [] };
  for (let turn = 0; turn < ROUNDS; turn++) {
    for (let at = 0; at < OVER.length; at++) {
      const over = OVER[(turn + at) % OVER.length] ?? 'mqtt';
      samples[over].push(await measure(over));
    }
  }
  return samples;
}

async function fetched(
  { fleet, cost }: ApartFleet,
  over: Over,
  devices: TestDevice[],
  what: Pick<FetchObjectJob, 'object' | 'chunks'>,
): Promise<Sample> {
  const job: FetchObjectJob = {
    ...what,
    over,
    ports: fleet.server.ports,
    devices: devices.map(({ identity, key }) => ({ identity, key })),
  };
  const before = await cost();
  const { stdout } = await promisify(execFile)(process.execPath, [FETCH, JSON.stringify(job)]);
  const after = await cost();
  const { seconds, cpuSeconds, bytes, spread } = JSON.parse(stdout) as FetchedObject;
  return {
    megabytesPerSecond: bytes / 1e6 / seconds,
    deviceCpuMsPerMb: (1000 * cpuSeconds) / (bytes / 1e6),
    // Of the handshakes and of what warms the line too.
    serverCpuMsPerMb:
      (1000 * (after.cpuSeconds - before.cpuSeconds)) / ((after.sentBytes - before.sentBytes) / 1e6),
    spread,
  };
}

const of = (samples: Sample[], key: keyof Sample): number =>
  round(median(samples.map((sample) => sample[key])));

const rowsOf = (name: string, samples: Record<Over, Sample[]>) =>
  OVER.map(
    (over) =>
      [
        `${name}, ${over}`,
        {
          'MB/s': of(samples[over], 'megabytesPerSecond'),
          'device CPU ms/MB': of(samples[over], 'deviceCpuMsPerMb'),
          'server CPU ms/MB': of(samples[over], 'serverCpuMsPerMb'),
          'slowest / quickest': of(samples[over], 'spread'),
        },
      ] as const,
  );

function metricsOf(suffix: string, { mqtt, get, https }: Record<Over, Sample[]>): Record<string, number> {
  const ratios = (peer: Sample[]) =>
    mqtt.map(({ megabytesPerSecond }, turn) => megabytesPerSecond / (peer[turn]?.megabytesPerSecond ?? 0));
  return {
    [`mqtt_vs_http${suffix}`]: round(median(ratios(get))),
    [`mqtt_vs_https_source${suffix}`]: round(median(ratios(https))),
    [`mqtt_mb_per_s${suffix}`]: of(mqtt, 'megabytesPerSecond'),
    [`http_mb_per_s${suffix}`]: of(get, 'megabytesPerSecond'),
    [`mqtt_device_cpu_ms_per_mb${suffix}`]: of(mqtt, 'deviceCpuMsPerMb'),
    [`http_device_cpu_ms_per_mb${suffix}`]: of(get, 'deviceCpuMsPerMb'),
    [`https_source_device_cpu_ms_per_mb${suffix}`]: of(https, 'deviceCpuMsPerMb'),
    [`mqtt_server_cpu_ms_per_mb${suffix}`]: of(mqtt, 'serverCpuMsPerMb'),
    [`http_server_cpu_ms_per_mb${suffix}`]: of(get, 'serverCpuMsPerMb'),
  };
}
