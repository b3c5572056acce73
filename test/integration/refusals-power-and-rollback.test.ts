import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import {
  busyboxLayer,
  type Layer,
  noiseLayer,
  Publisher,
  type ServiceParts,
  STUBBORN,
  serviceRelease,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { TcpTap } from '../support/tcp-tap.ts';
import { until } from '../support/until.ts';

const MIB = 1024 ** 2;

let work: string;
let fleet: TestFleet;
let publisher: Publisher;
let base: Layer;
let device: RealDevice;
let number = 0;

/** "keeper" is the same in every release; "web" is what a test makes of it. */
const publish = (version: string, web: ServiceParts, soakMs?: number) =>
  publisher.publish(
    serviceRelease(
      `${number}.${version}`,
      { keeper: { layers: [base] }, web },
      { ...(soakMs && { soakMs }) },
    ),
  );

async function rollOut(releaseId: string): Promise<string> {
  return (await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] })).body.id;
}

const attemptOf = async (rollout: string) =>
  (await fleet.api('GET', `/rollouts/${rollout}`)).body.attempts[0];

async function attemptEnds(
  rollout: string,
  state: string,
): Promise<{ reason: { code: string; message: string } }> {
  return until(
    async () => {
      const attempt = await attemptOf(rollout);
      return attempt.state === state && attempt;
    },
    { timeoutMs: 40_000, what: `attempt ${state}; the agent says ${device.log.slice(-1_500)}` },
  );
}

/** A device of its own that runs 1.0 committed. */
async function deviceOn(web: ServiceParts): Promise<Record<string, number | undefined>> {
  device = await RealDevice.create(fleet, `boat-${number}`, publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline, {
    what: 'the device to enrol and connect',
  });
  await attemptEnds(await rollOut(await publish('1.0', web)), 'committed');
  return device.pids();
}

/** What runs now, and which services are the very processes they were before. */
async function servicesSince(before: Record<string, number | undefined>) {
  const { current, services } = await device.status();
  return {
    current: current?.version,
    states: Object.fromEntries(services.map(({ name, state }) => [name, state])),
    untouched: services.filter(({ name, pid }) => pid === before[name]).map(({ name }) => name),
  };
}

/** Both run, from this release, and the one that no release changed was never touched. */
const onRelease = (version: string): Awaited<ReturnType<typeof servicesSince>> => ({
  current: `${number}.${version}`,
  states: { keeper: 'running', web: 'running' },
  untouched: ['keeper'],
});

beforeAll(async () => {
  await buildAgent(() => {});
  work = await mkdtemp(join(tmpdir(), 'wherry-power-'));
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
}, 120_000);

beforeEach(() => {
  number += 1;
});

afterEach(() => device.remove(), 60_000);

afterAll(async () => {
  await fleet?.close();
  rmSync(work, { recursive: true, force: true });
});

describe('the agent dies', () => {
  test('while it fetches: the next one goes on where it was', async () => {
    const before = await deviceOn({ layers: [base] });
    const large = await noiseLayer(work, 64 * MIB);
    const two = await publish('2.0', { layers: [base, large] });
    const tap = await TcpTap.to(fleet.server.ports.mqtt);
    try {
      await device.kill();
      device.connectVia(tap.port);
      await device.start();
      tap.holdAfter(24 * MIB);
      const rollout = await rollOut(two);
      const cut = await until(
        async () => {
          const { progress } = (await device.status()).update;
          return progress && progress.doneBytes > 16 * MIB && progress;
        },
        { timeoutMs: 30_000, what: '16 MiB to arrive' },
      );
      expect(cut.doneBytes).toBeLessThan(cut.totalBytes);
      await device.kill();
      tap.release();
      await device.start();
      await attemptEnds(rollout, 'committed');
      expect(tap.bytesDown).toBeGreaterThan(large.size - 24 * MIB);
      expect(tap.bytesDown).toBeLessThan(large.size - 8 * MIB);
    } finally {
      await tap.close();
    }
    expect(await servicesSince(before)).toEqual(onRelease('2.0'));
  });

  test('while it switches: the next one finishes the switch', async () => {
    const before = await deviceOn({ layers: [base], args: STUBBORN, graceMs: 3_000 });
    const rollout = await rollOut(await publish('2.0', { layers: [base] }));
    await device.phase('switching');
    await device.kill();
    await device.start();
    await attemptEnds(rollout, 'committed');
    expect(await servicesSince(before)).toEqual(onRelease('2.0'));
  });

  test('while the new release soaks: it soaks again and is committed', async () => {
    const before = await deviceOn({ layers: [base] });
    const rollout = await rollOut(
      await publish('2.0', { layers: [base, await noiseLayer(work, MIB)] }, 3_000),
    );
    await device.phase('soaking');
    const soaking = await device.pids();
    await device.kill();
    await device.start();
    await attemptEnds(rollout, 'committed');
    expect(await servicesSince(before)).toEqual(onRelease('2.0'));
    expect(await device.pids()).toEqual(soaking);
  });

  test('while a bad release soaks: the one before runs again', async () => {
    const before = await deviceOn({ layers: [base] });
    const dying = ['/bin/sh', '-c', 'sleep 3; exit 1'];
    const rollout = await rollOut(
      await publish('2.0', { layers: [base], args: dying, restart: { maxAttempts: 1 } }, 8_000),
    );
    await device.phase('soaking');
    await device.kill();
    await device.start();
    await attemptEnds(rollout, 'rolled_back');
    expect(await servicesSince(before)).toEqual(onRelease('1.0'));
  });
});

test('a release whose service dies at once is rolled back, and is refused when it is assigned again', async () => {
  const before = await deviceOn({ layers: [base] });
  const bad = await publish('2.0', { layers: [base], args: ['/bin/false'] });
  const { reason } = await attemptEnds(await rollOut(bad), 'rolled_back');
  expect(reason).toMatchObject({
    code: 'update.rolled-back',
    message: expect.stringMatching(/boat \d\.2\.0 rolled back to boat \d\.1\.0: .*web/),
  });
  expect(await servicesSince(before)).toEqual(onRelease('1.0'));
  const again = await device.pids();
  const refusal = await attemptEnds(await rollOut(bad), 'rejected');
  expect(refusal.reason).toMatchObject({
    code: 'refused.bad-release',
    message: expect.stringMatching(/it failed on this device before/),
  });
  expect(await device.pids()).toEqual(again);
  const { stdout } = await device.cli('status');
  expect(stdout).toContain(refusal.reason.message);
});
