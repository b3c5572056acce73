import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServiceStatus } from '../../../protocol/status.ts';
import { fakeService, fakeStatus } from '../../local-api/fake-status.ts';
import { CapsuleRing } from './capsule-ring.ts';
import { PostMortems } from './post-mortems.ts';

let root: string;
let ring: CapsuleRing;
let services: ServiceStatus[];
let errors: unknown[];
let postMortems: PostMortems;
const reason = { code: 'exit.oom' as const, message: 'Ran out of its memory budget', at: 5 };
const line = { at: 1, stream: 'stderr' as const, text: 'cache is full' };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wherry-postmortem-'));
  errors = [];
  services = [fakeService('web')];
  ring = new CapsuleRing(join(root, 'capsules'), (error) => errors.push(error));
  postMortems = new PostMortems({
    ring,
    statuses: () => services,
    why: () => [reason],
    health: () => ({ ...fakeStatus().health, boot: { id: 'boot-1', reason: 'first', at: 1 } }),
    releaseOf: () => ({ release: 'demo 1.0.0', specDigest: 'abc' }),
    tail: () => Promise.resolve([line]),
    oomKilled: () => ({ pid: 970, command: 'httpd' }),
    onError: (error) => errors.push(error),
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

test('a service killed for want of memory is kept with its last use, the killed process and its lines', async () => {
  postMortems.remember(services);
  const noted = postMortems.note({ code: 'exit.oom', service: 'web', at: 1_700_000_000_000 });
  services = [fakeService('web', { state: 'backing_off', usage: undefined, pid: undefined, oomKills: 1 })];
  await noted;
  expect(ring.read(ring.list()[0]?.id ?? '')).toMatchObject({
    at: 1_700_000_000_000,
    kind: 'oom',
    service: 'web',
    release: 'demo 1.0.0',
    specDigest: 'abc',
    reasons: [reason],
    usage: fakeService('web').usage,
    budget: fakeService('web').budget,
    oomKills: 1,
    oomKilled: { pid: 970, command: 'httpd' },
    device: { memoryAvailableBytes: fakeStatus().health.memoryAvailableBytes, temperatureCelsius: 51.2 },
    log: [line],
    bootId: 'boot-1',
  });
});

test.each(['exit.code', 'exit.signal', 'exit.lost'] as const)('%s is a crash', async (code) => {
  services = [fakeService('web', { state: 'crash_looping' })];
  await postMortems.note({ code, service: 'web', at: 1 });
  expect(ring.list()).toMatchObject([{ kind: 'crash', service: 'web' }]);
});

test('an end that was meant, another event or a stranger is no crash', async () => {
  services = [fakeService('web', { state: 'completed' })];
  await postMortems.note({ code: 'exit.code', service: 'web', at: 1 });
  await postMortems.note({ code: 'exit.code', service: 'gone', at: 1 });
  services = [fakeService('web', { state: 'failed' })];
  await postMortems.note({ code: 'fail.image', service: 'web', at: 1 });
  await postMortems.note({ code: 'device.shed', at: 1 });
  expect(ring.list()).toEqual([]);
});

test('a rollback keeps those that were not well', async () => {
  await postMortems.noteRollback(['web', 'gone'], 7);
  expect(ring.list()).toMatchObject([{ kind: 'rollback', service: 'web', at: 7 }]);
  expect(errors).toEqual([]);
});
