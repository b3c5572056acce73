import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blobObject } from '../../protocol/objects.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import {
  behindTheServer,
  forgeRelease,
  lieAboutBoard,
  metadataState,
  tamper,
  withGeneration,
  withMetadataOf,
  withTargetsOf,
} from '../support/hostile-server.ts';
import { RealDevice } from '../support/real-device.ts';
import {
  busyboxLayer,
  type Layer,
  noiseLayer,
  Publisher,
  serviceRelease,
} from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

/**
 * Whoever owns the fleet server owns its database, its files and its online keys, and nothing more: no device runs
 * what the release keys did not sign for it. Release 1.0.0 runs; each attack leaves it running, pids and all.
 */
const BLOB_BYTES = 300_000;

let work: string;
let fleet: TestFleet;
let device: RealDevice;
let publisher: Publisher;
let base: Layer;
let running: Record<string, number | undefined>;
/** The metadata when only 0.9.0 was published. */
let earlier: Awaited<ReturnType<typeof metadataState>>;
let oldest: string;

/** A release that differs from 1.0.0 in one layer. */
const releaseOf = async (version: string, options: { boards?: string[] } = {}) => {
  const layers = [base, await noiseLayer(work, BLOB_BYTES)];
  return serviceRelease(version, { keeper: { layers: [base] }, web: { layers } }, options);
};

async function rollOut(releaseId: string): Promise<string> {
  const { status, body } = await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
  expect(status).toBe(201);
  return body.id;
}

const attemptOf = async (rollout: string) =>
  (await fleet.api('GET', `/rollouts/${rollout}`)).body.attempts[0];

/** What every side shows of a rollout that has ended: the server's rollout, device and history; the device itself. */
async function sides(rollout: string) {
  const { state, reason } = await until(
    async () => {
      const attempt = await attemptOf(rollout);
      return ['rejected', 'committed', 'rolled_back'].includes(attempt.state) && attempt;
    },
    { timeoutMs: 30_000, what: `the attempt to end; the agent says ${device.log.slice(-1_500)}` },
  );
  const path = `/devices/${device.id}`;
  const seen = await until(
    async () => {
      const { body } = await fleet.api('GET', path);
      return body.updateReason?.message === reason.message && body;
    },
    { what: 'the report after the end' },
  );
  const event = await until(
    async () => {
      const { items } = (await fleet.api('GET', `${path}/events`)).body;
      return items.find(({ message }: { message: string }) => message === reason.message);
    },
    { what: 'the event of the end' },
  );
  const local = JSON.parse((await device.cli('status', '--json')).stdout);
  const { stdout } = await device.cli('status');
  return {
    attempt: state,
    reasons: [reason, seen.updateReason, event, local.update.reason].map(({ code, message }) => ({
      code,
      message,
    })),
    phases: [seen.updatePhase, event.phase, local.update.phase],
    isInWords: stdout.includes(reason.message),
    current: [seen.current.version, local.current.version],
    services: seen.services,
    pids: await device.pids(),
  };
}

/** Refused for the same reason on every side, while 1.0.0 goes on untouched. */
function refusal(code: ReasonCode, words: RegExp): Awaited<ReturnType<typeof sides>> {
  const reason = { code, message: expect.stringMatching(words) };
  return {
    attempt: 'rejected',
    reasons: [reason, reason, reason, reason],
    phases: ['refused', 'refused', 'refused'],
    isInWords: true,
    current: ['1.0.0', '1.0.0'],
    services: { total: 2, running: 2 },
    pids: running,
  };
}

const setBoard = (board: string) =>
  behindTheServer(fleet, (db) =>
    db.updateTable('devices').set({ board }).where('id', '=', device.id).execute(),
  );

beforeAll(async () => {
  await buildAgent(() => {});
  work = await mkdtemp(join(tmpdir(), 'wherry-refusals-'));
  fleet = await TestFleet.start();
  publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
  base = await busyboxLayer();
  oldest = await publisher.publish(await releaseOf('0.9.0'));
  earlier = await metadataState(fleet);
  const one = await publisher.publish(await releaseOf('1.0.0'));
  device = await RealDevice.create(fleet, 'boat-1', publisher.signer.rootText);
  await device.start();
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline, {
    what: 'the device to enrol and connect',
  });
  await rollOut(one);
  await device.phase('committed');
  running = await device.pids();
  await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.services.running === 2, {
    what: 'the report of both services',
  });
}, 120_000);

afterAll(async () => {
  try {
    await device?.remove();
  } finally {
    await fleet?.close();
    rmSync(work, { recursive: true, force: true });
  }
}, 60_000);

test('a blob whose bytes were changed on the server', async () => {
  const release = await releaseOf('2.0.0-tampered');
  const id = await publisher.publish(release);
  await tamper(fleet, release.layers.at(-1)?.verity ?? '');
  expect(await sides(await rollOut(id))).toEqual(
    refusal('refused.blob-digest', /piece \d+ came wrong 3 times/),
  );
});

test('a release under targets that a stranger signed', async () => {
  const id = await forgeRelease(fleet, publisher, await releaseOf('2.0.0-forged'));
  expect(await sides(await rollOut(id))).toEqual(
    refusal('refused.metadata-signature', /Cannot trust targets\.json version \d/),
  );
});

test('an assignment of an older generation', async () => {
  const id = await publisher.publish(await releaseOf('2.0.0-replayed'));
  // The server counts on from 0: the device hears of generation 1 again, and with another release.
  const seen = await withGeneration(fleet, device.id, 0, async () => sides(await rollOut(id)));
  expect(seen).toEqual(refusal('refused.generation', /generation is 1; this device has already accepted \d/));
});

test('a release whose signed manifest names other boards', async () => {
  const id = await publisher.publish(await releaseOf('2.0.0-pi', { boards: ['raspberry-pi-4'] }));
  await lieAboutBoard(fleet, id, 'raspberry-pi-4', 'generic-amd64');
  expect(await sides(await rollOut(id))).toEqual(
    refusal('refused.board', /it is for raspberry-pi-4; this is a "generic-amd64"/),
  );
});

test('an assignment that names another board', async () => {
  const id = await publisher.publish(await releaseOf('2.1.0-pi', { boards: ['raspberry-pi-4'] }));
  await setBoard('raspberry-pi-4');
  const seen = await sides(await rollOut(id)).finally(() => setBoard('generic-amd64'));
  expect(seen).toEqual(refusal('refused.board', /assignment is for board "raspberry-pi-4"/));
});

test('an old release under the very metadata of its day', async () => {
  const seen = await withMetadataOf(fleet, earlier, async () => sides(await rollOut(oldest)));
  expect(seen).toEqual(
    refusal(
      'refused.metadata-rollback',
      /timestamp\.json: version is 1, but this device has already trusted \d/,
    ),
  );
});

test('an old release under old targets that the online keys vouch for anew', async () => {
  const seen = await withTargetsOf(fleet, 1, async () => sides(await rollOut(oldest)));
  expect(seen).toEqual(
    refusal(
      'refused.metadata-rollback',
      /targets\.json: version is 1, but this device has already trusted \d/,
    ),
  );
});

test('after all of this an honest release is installed, and only what changed restarts', async () => {
  const id = await publisher.publish(await releaseOf('2.0.0'));
  const rollout = await rollOut(id);
  await until(async () => (await attemptOf(rollout)).state === 'committed', {
    timeoutMs: 30_000,
    what: `2.0.0 to commit; the agent says ${device.log.slice(-1_500)}`,
  });
  const after = await device.pids();
  expect(after['keeper']).toBe(running['keeper']);
  expect(after['web']).not.toBe(running['web']);
  expect((await device.status()).current).toMatchObject({ version: '2.0.0' });
});

test('a blob that was tampered with is served whole once it was deleted and pushed again', async () => {
  const release = await releaseOf('3.0.0');
  const id = await publisher.publish(release);
  const { verity = '' } = release.layers.at(-1) ?? {};
  await tamper(fleet, verity);
  const first = await rollOut(id);
  await until(async () => (await attemptOf(first)).state === 'rejected', { what: 'the refusal' });
  rmSync(join(fleet.dataDir, 'blobs', blobObject(verity)));
  await publisher.upload(release);
  const second = await rollOut(id);
  await until(async () => (await attemptOf(second)).state === 'committed', {
    timeoutMs: 30_000,
    what: `3.0.0 to commit; the agent says ${device.log.slice(-1_500)}`,
  });
  expect((await device.status()).current).toMatchObject({ version: '3.0.0' });
});
