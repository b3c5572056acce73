import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serviceSpec } from '../test/support/service-specs.ts';
import type { Secrets } from './local-api/ports.ts';
import { secretsView } from './secrets-view.ts';
import { SecretStore } from './supervisor/secrets/secret-store.ts';

let dir: string;
let secrets: Secrets;
let events: { kind: string; code: string; message: string; at: number }[];
let woken: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'wherry-secrets-view-'));
  events = [];
  woken = [];
  const web = serviceSpec('web', {
    secrets: [
      { name: 'token', path: '/run/token' },
      { name: 'ca', path: '/run/ca' },
    ],
  });
  secrets = secretsView({
    store: new SecretStore(dir),
    desired: () => ({ release: undefined, services: [web] }),
    supervisor: { tryAgain: (code) => woken.push(code) },
    outbox: { add: (event) => events.push(event) },
    clock: { now: () => 7 },
  });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a secret that is put is here, wakes those that wait and is told by name', async () => {
  expect(await secrets.put('token', Buffer.from('hunter2'), 'ada')).toEqual({
    secret: 'token',
    result: 'put',
    services: ['web'],
  });
  expect(await secrets.list()).toEqual([
    { name: 'ca', isHere: false, services: ['web'] },
    { name: 'token', isHere: true, services: ['web'] },
  ]);
  expect(woken).toEqual(['wait.secret']);
  expect(events).toEqual([
    { kind: 'device', code: 'secret.put', message: 'ada put the secret "token"', at: 7 },
  ]);
});

test('a removal is told once', async () => {
  await secrets.put('old', Buffer.from('x'), 'ada');
  expect(await secrets.remove('old', 'bob')).toEqual({ secret: 'old', result: 'removed', services: [] });
  expect(await secrets.remove('old', 'bob')).toEqual({ secret: 'old', result: 'absent', services: [] });
  expect(events.map(({ code }) => code)).toEqual(['secret.put', 'secret.removed']);
});

const put = (name: string, content: string) => secrets.put(name, Buffer.from(content), 'ada');

test('what cannot be kept is refused with why, and nothing is told', async () => {
  expect(await put('../x', '1')).toMatchObject({ refused: expect.stringContaining('its name must be') });
  expect(await put('x', '')).toMatchObject({ refused: expect.stringContaining('it is empty') });
  expect(await put('x', 'x'.repeat(65_537))).toMatchObject({
    refused: expect.stringContaining('at most 65536'),
  });
  expect(events).toEqual([]);
});
