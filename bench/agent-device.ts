import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildAgent } from '../scripts/build.ts';
import { ROOT } from '../scripts/setup.mjs';
import { TestFleet } from '../test/support/fleet-server.ts';
import { RealDevice } from '../test/support/real-device.ts';
import { busyboxLayer, noiseLayer, Publisher, serviceRelease } from '../test/support/service-release.ts';
import { makeSigner } from '../test/support/signed-release.ts';
import { until } from '../test/support/until.ts';

const PROGRAM = join(ROOT, 'bin/wherry-agent');
const UPDATE_MS = 120_000;
const NOISE_BYTES = 8 * 1024 * 1024;
/** Answers SIGTERM by dying: what a restart costs is then the agent's and the runtime's alone. */
const IDLER = ['/bin/sh', '-c', 'trap "exit 0" TERM; while true; do sleep 3600 & wait $!; done'];

export interface BenchDevice {
  fleet: TestFleet;
  device: RealDevice;
  /** Of the agent as the device runs it, bin/wherry-agent. */
  pid: number;
  program: string;
  services: string[];
  publisher: Publisher;
  /** For files of the benchmark; goes with the device. */
  work: string;
  close(): Promise<void>;
}

/** A fleet server in this process, and a device of its own that has just fetched and committed its first release. */
export async function updatedDevice(id: string, serviceCount: number): Promise<BenchDevice> {
  await buildAgent(() => {});
  const work = mkdtempSync(join(tmpdir(), 'wherry-bench-'));
  const fleet = await TestFleet.start();
  let device: RealDevice | undefined;
  const close = async (): Promise<void> => {
    await device?.remove();
    await fleet.close();
    rmSync(work, { recursive: true, force: true });
  };
  try {
    const publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
    device = await RealDevice.create(fleet, id, publisher.signer.rootText);
    await device.start([PROGRAM]);
    await until(async () => (await fleet.api('GET', `/devices/${id}`)).body.isOnline, { what: 'enrolment' });
    const services = Array.from({ length: serviceCount }, (_, index) => `service-${index + 1}`);
    const base = await busyboxLayer();
    const parts = await Promise.all(
      services.map(async (name) => {
        const layers = [base, await noiseLayer(work, NOISE_BYTES)];
        return [name, { layers, args: IDLER, cpuMax: 0.2 }] as const;
      }),
    );
    const releaseId = await publisher.publish(serviceRelease('1.0', Object.fromEntries(parts)));
    await fleet.api('POST', '/rollouts', { releaseId, devices: [id] });
    const { agent } = await device.phase('committed', UPDATE_MS);
    return { fleet, device, pid: agent.pid, program: PROGRAM, services, publisher, work, close };
  } catch (error) {
    await close();
    throw error;
  }
}
