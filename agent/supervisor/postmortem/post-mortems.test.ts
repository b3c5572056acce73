import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Reason, ReasonCode } from '../../../protocol/reasons.ts';
import type { ServiceStatus } from '../../../protocol/status.ts';
import { serviceSpec } from '../../../test/support/service-specs.ts';
import { fakeService, fakeStatus } from '../../local-api/fake-status.ts';
import { CapsuleRing } from './capsule-ring.ts';
import { PostMortems } from './post-mortems.ts';

let root: string;
let ring: CapsuleRing;
let services: ServiceStatus[];
let errors: unknown[];
let postMortems: PostMortems;
const spec = { ...serviceSpec('web'), digest: 'abc' };
const desired = (version: string) => ({
  release: { name: 'demo', version, generation: 1 },
  services: [spec],
});
let reasons: Reason[];
const ended = (code: ReasonCode, at: number): Reason => ({ code, message: `It ended by ${code}`, at });
const backOff = (at: number): Reason => ({ code: 'wait.backoff', message: 'Starts again after 1 s', at });
const line = { at: 1, stream: 'stderr' as const, text: 'cache is full' };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wherry-postmortem-'));
  errors = [];
  services = [fakeService('web')];
  reasons = [];
  ring = new CapsuleRing(join(root, 'capsules'), (error) => errors.push(error));
  postMortems = new PostMortems({
    ring,
    statuses: () => services,
    why: () => reasons,
    health: () => ({ ...fakeStatus().health, boot: { id: 'boot-1', reason: 'first', at: 1 } }),
    inForce: () => desired('1.0.0'),
    exitOf: () => ({ code: 137, signal: 9 }),
    tail: () => Promise.resolve([line]),
    oomKilled: () => ({ pid: 970, command: 'httpd' }),
    onError: (error) => errors.push(error),
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('a service killed for want of memory is kept with its last use, the killed process and its lines', async () => {
  postMortems.remember(services);
  const at = 1_700_000_000_000;
  reasons = [backOff(at), ended('exit.oom', at), ended('exit.code', 5)];
  const noted = postMortems.note({ code: 'exit.oom', service: 'web', at });
  services = [fakeService('web', { state: 'backing_off', usage: undefined, pid: undefined, oomKills: 1 })];
  await noted;
  expect(ring.read(ring.list()[0]?.id ?? '')).toMatchObject({
    at: 1_700_000_000_000,
    kind: 'oom',
    service: 'web',
    release: 'demo 1.0.0',
    specDigest: 'abc',
    reasons: [ended('exit.oom', at), ended('exit.code', 5)],
    exit: { code: 137, signal: 9 },
    usage: fakeService('web').usage,
    budget: fakeService('web').budget,
    oomKills: 1,
    oomKilled: { pid: 970, command: 'httpd' },
    device: { memoryAvailableBytes: fakeStatus().health.memoryAvailableBytes, temperatureCelsius: 51.2 },
    log: [line],
    bootId: 'boot-1',
  });
  expect(ring.list()).toMatchObject([
    { message: 'It ended by exit.oom; the kernel killed httpd, pid 970', exit: { code: 137, signal: 9 } },
  ]);
});

test.each(['exit.code', 'exit.signal', 'exit.lost'] as const)('%s is a crash', async (code) => {
  reasons = [backOff(1), ended(code, 1)];
  await postMortems.note({ code, service: 'web', at: 1 });
  expect(ring.list()).toMatchObject([{ kind: 'crash', service: 'web', message: `It ended by ${code}` }]);
});

test('an end that was meant, another event or a stranger is no crash', async () => {
  reasons = [{ ...backOff(1), code: 'wait.completed' }, ended('exit.code', 1)];
  await postMortems.note({ code: 'exit.code', service: 'web', at: 1 });
  reasons = [ended('exit.code', 2), { ...backOff(1), code: 'stop.operator' }, backOff(0)];
  await postMortems.note({ code: 'exit.code', service: 'web', at: 2 });
  await postMortems.note({ code: 'exit.code', service: 'gone', at: 1 });
  reasons = [backOff(1), ended('fail.image', 1)];
  await postMortems.note({ code: 'fail.image', service: 'web', at: 1 });
  await postMortems.note({ code: 'device.shed', at: 1 });
  expect(ring.list()).toEqual([]);
});

test('of a crash loop three are kept in ten minutes, and then again', async () => {
  const crashAt = (at: number) => {
    reasons = [backOff(at), ended('exit.code', at)];
    return postMortems.note({ code: 'exit.code', service: 'web', at });
  };
  for (let at = 1_000; at < 600_000; at += 60_000) await crashAt(at);
  expect(ring.list().map(({ at }) => at)).toEqual([121_000, 61_000, 1_000]);
  services = [fakeService('web'), fakeService('app')];
  reasons = [backOff(500_000), ended('exit.code', 500_000)];
  await postMortems.note({ code: 'exit.code', service: 'app', at: 500_000 });
  expect(ring.list()[0]).toMatchObject({ service: 'app' });
  await crashAt(601_000);
  await crashAt(602_000);
  expect(ring.list().map(({ at }) => at)).toEqual([601_000, 500_000, 121_000, 61_000, 1_000]);
});

const rolledBack = { code: 'update.rolled-back' as const, message: 'demo 2.0.0 rolled back', at: 7 };

test('a rollback keeps those that were not well, as they were when it began', async () => {
  services = [fakeService('web', { restarts: 4, oomKills: 4 }), fakeService('app')];
  reasons = [backOff(6), ended('exit.code', 6)];
  const noted = postMortems.noteRollback(rolledBack, desired('2.0.0'), ['web', 'app', 'gone']);
  services = [];
  reasons = [];
  await noted;
  expect(ring.list()).toMatchObject([
    { kind: 'rollback', service: 'app' },
    { kind: 'rollback', service: 'web', at: 7, release: 'demo 2.0.0', causes: [backOff(6)] },
  ]);
  expect(ring.read(ring.list()[1]?.id ?? '')).toMatchObject({
    reasons: [{ ...rolledBack, causes: [backOff(6)] }, backOff(6), ended('exit.code', 6)],
    specDigest: 'abc',
    oomKills: 4,
    log: [line],
  });
});

test('a rollback without a service to blame is kept for the release', async () => {
  await postMortems.noteRollback(rolledBack, desired('2.0.0'), []);
  const [kept] = ring.list();
  expect(kept).toMatchObject({ kind: 'rollback', release: 'demo 2.0.0', message: 'demo 2.0.0 rolled back' });
  expect(kept?.service).toBeUndefined();
  expect(errors).toEqual([]);
});
