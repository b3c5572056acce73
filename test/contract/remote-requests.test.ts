import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openSqlite } from '../../fleet-server/store/sqlite.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import { upTopic } from '../../protocol/topics.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { RemoteDevice } from '../support/remote-device.ts';
import { until } from '../support/until.ts';

let fleet: TestFleet;
let remote: RemoteDevice;
let count = 0;
let operator = '';

beforeAll(async () => {
  fleet = await TestFleet.start();
  operator = (await fleet.api('POST', '/api-tokens', { note: 'op', role: 'operator' })).body.token;
});
afterEach(() => remote?.device.close());
afterAll(() => fleet.close());

const connect = async (abilities: Parameters<typeof RemoteDevice.connect>[2] = {}) => {
  remote = await RemoteDevice.connect(fleet, `cam-${++count}`, abilities);
  return remote;
};
const url = (path: string) => `/devices/${remote.device.id}${path}`;

/** As a program does, with a token of its own; the answer may be a stream. */
function call(
  method: string,
  path: string,
  body?: unknown,
  token = '',
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(`${fleet.server.url}/api/v1${url(path)}`, {
    method,
    headers: {
      authorization: `Bearer ${token || fleet.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}

/** A session of a user by name and password; calls with it come from the server's own pages. */
async function signIn(name: string, password: string) {
  const headers = { 'content-type': 'application/json', origin: fleet.server.url };
  const base = `${fleet.server.url}/api/v1`;
  const login = await fetch(`${base}/session`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ name, password }),
  });
  const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  return {
    session: await login.json(),
    call: (method: string, path: string, body: unknown) =>
      fetch(`${base}${path}`, { method, headers: { ...headers, cookie }, body: JSON.stringify(body) }),
  };
}

async function audited(): Promise<{ who: string; action: string; detail: string }[]> {
  const db = await openSqlite(join(fleet.dataDir, 'fleet.db'));
  try {
    return await db
      .selectFrom('audit')
      .select(['who', 'action', 'detail'])
      .where('subject', '=', remote.device.id)
      .where('action', '!=', 'device.enrol')
      .orderBy('id')
      .execute();
  } finally {
    await db.destroy();
  }
}

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

test('a request names who asks, holds for a short time by the device’s own clock, and its answer comes back', async () => {
  await connect({ at: 5_000_000 });
  const answer = call('GET', '/services/web/why');
  const ask = await remote.asked();
  expect(ask).toMatchObject({ action: 'why', service: 'web', by: 'admin', session: remote.session });
  expect(ask.expiresAt).toBeGreaterThan(5_000_000);
  expect(ask.expiresAt).toBeLessThan(5_000_000 + 2 * REMOTE_LIMITS.askMs);
  const why = { service: 'web', state: 'running', since: 1, reasons: [] };
  await remote.answer({ id: ask.id, sequence: 0, why });
  expect(await (await answer).json()).toEqual(why);
  expect(await audited()).toEqual([{ who: 'admin', action: 'device.why', detail: 'web' }]);
});

test('a device that is away, or whose agent tells no abilities, is told from one at once; nothing is audited', async () => {
  await connect();
  await remote.control.endAsync(true);
  await until(async () => (await fleet.api('GET', url(''))).body.remote === null, { what: 'it to be gone' });
  expect(await (await call('GET', '/services/web/why')).json()).toMatchObject({
    code: 'remote.offline',
    status: 409,
  });
  const old = await remote.device.connect('control');
  await remote.device.hello(old);
  expect(await (await call('GET', '/services/web/why')).json()).toMatchObject({ code: 'remote.unsupported' });
  expect(await audited()).toEqual([]);
});

test('what the device switches off is refused without asking it, and the UI is told which that is', async () => {
  await connect({ actions: ['logs', 'why'] });
  expect((await fleet.api('GET', url(''))).body.remote).toEqual(['logs', 'why']);
  const refused = await call('POST', '/services/web/exec', { argv: ['sh'] });
  expect(await refused.json()).toMatchObject({ code: 'remote.off', status: 403 });
  expect(remote.device.received.filter(({ channel }) => channel === 'ask')).toEqual([]);
});

test('an operator restarts; programs, reboots and all else that changes something need an administrator', async () => {
  await connect();
  const forbidden = [
    call('POST', '/services/web/exec', { argv: ['sh'] }, operator),
    call('POST', '/reboot', { confirm: remote.device.id }, operator),
    call('PUT', '/pin', undefined, operator),
  ];
  for (const answer of forbidden) expect(await (await answer).json()).toMatchObject({ code: 'session.role' });
  expect((await call('GET', '', undefined, operator)).status).toBe(200);
  const token = await fetch(`${fleet.server.url}/api/v1/api-tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator}`, 'content-type': 'application/json' },
    body: JSON.stringify({ note: 'more', role: 'admin' }),
  });
  expect(await token.json()).toMatchObject({ code: 'session.role' });
  const restart = call('POST', '/services/web/restart', undefined, operator);
  const { id } = await remote.asked();
  await remote.answer({ id, sequence: 0, end: { code: 'done', message: '' } });
  expect((await restart).status).toBe(202);
  expect(await audited()).toEqual([{ who: 'admin', action: 'device.restart', detail: 'web' }]);
});

test('a reboot names the device once more', async () => {
  await connect();
  const slip = await call('POST', '/reboot', { confirm: 'cam-0' });
  expect(await slip.json()).toMatchObject({ code: 'remote.not-confirmed', status: 422 });
  const reboot = call('POST', '/reboot', { confirm: remote.device.id });
  const { id, action } = await remote.asked();
  expect(action).toBe('reboot');
  await remote.answer({ id, sequence: 0, end: { code: 'done', message: '' } });
  expect((await reboot).status).toBe(202);
});

test('answers of another device, of nobody’s question, too large or malformed are dropped', async () => {
  const asked = await connect();
  const answer = call('GET', '/services/web/why');
  const { id } = await asked.asked();
  const stranger = await RemoteDevice.connect(fleet, `stranger-${++count}`);
  const lie = { service: 'web', state: 'lie', reasons: [] };
  await stranger.answer({ id, sequence: 0, why: lie });
  await asked.answer({ id: 'ef'.repeat(16), sequence: 0, why: lie });
  await asked.answer('{"v":1');
  await asked.answer(JSON.stringify({ v: 1, id, sequence: 0, why: lie, extra: 1 }));
  await asked.answer(JSON.stringify({ v: 1, id, sequence: 0, data: 'A'.repeat(REMOTE_LIMITS.answerBytes) }));
  await asked.answer({ id, sequence: 0, why: { ...lie, state: 'running' } });
  expect(await (await answer).json()).toMatchObject({ state: 'running' });
  stranger.bulk.publish(upTopic('default', asked.device.id, 'answer'), '{}');
  await until(() => !stranger.bulk.connected, { what: 'the stranger’s session to be cut' });
  await stranger.device.close();
});

test('a log comes as the device tells it, and nobody looking on ends it', async () => {
  await connect();
  const gone = new AbortController();
  const response = await Promise.all([
    call('GET', '/services/web/logs?tail=5&follow=true', undefined, '', gone.signal),
    remote.asked().then(async ({ id, logs }) => {
      expect(logs).toEqual({ tail: 5, follow: true });
      await remote.answer({ id, sequence: 0 });
      await remote.answer({ id, sequence: 1, lines: [{ at: 1, stream: 'stdout', text: 'one' }] });
      return id;
    }),
  ]);
  const reader = response[0].body?.getReader();
  let text = '';
  await until(async () => {
    text += Buffer.from((await reader?.read())?.value ?? []).toString();
    return text.includes('one');
  });
  expect(lines(text)[0]).toMatchObject({ begun: { session: response[1] } });
  gone.abort();
  await until(async () => (await remote.more()).end === true, { what: 'the device to hear of it' });
  await until(async () => (await audited()).length === 2, { what: 'the end to be audited' });
  expect((await audited()).map(({ action }) => action)).toEqual(['device.logs', 'device.logs-end']);
});

test('an answer with a gap, or beyond its credit, is cut', async () => {
  await connect();
  const gap = call('GET', '/services/web/logs');
  const first = await remote.asked();
  await remote.answer({ id: first.id, sequence: 0 });
  const begun = await gap;
  await remote.answer({ id: first.id, sequence: 2, lines: [] });
  expect(lines(await begun.text()).at(-1)).toMatchObject({ end: { code: 'lost' } });

  const flood = call('POST', '/support-bundle');
  const second = await remote.asked();
  const data = Buffer.alloc(REMOTE_LIMITS.pieceBytes).toString('base64');
  // Nobody reads, so nothing is granted: at most what is in the server's and the browser's buffers.
  for (let sequence = 0; sequence < 400; sequence++)
    await remote.answer({ id: second.id, sequence, ...(sequence > 0 && { data }) });
  await expect(flood.then((answer) => answer.arrayBuffer())).rejects.toThrow(/terminated|other side closed/);
});

test('users have a role of their own; nobody raises themselves, and nobody types into another’s terminal', async () => {
  await connect();
  const password = 'a long enough one';
  expect((await fleet.api('PUT', '/users/admin', { password, role: 'admin' })).body.code).toBe(
    'session.role',
  );
  expect((await fleet.api('PUT', '/users/bo', { password: 'short', role: 'operator' })).status).toBe(400);
  expect((await fleet.api('PUT', '/users/bo', { password, role: 'operator' })).status).toBe(200);
  expect((await fleet.api('PUT', '/users/cy', { password, role: 'admin' })).status).toBe(200);
  const bo = await signIn('bo', password);
  expect(bo.session).toMatchObject({ name: 'bo', role: 'operator' });
  for (const path of ['/users/bo', '/users/new'])
    expect((await bo.call('PUT', path, { password, role: 'admin' })).status).toBe(403);
  const cy = await signIn('cy', password);
  const running = call('POST', '/services/web/exec', { argv: ['sh'] });
  const { id } = await remote.asked();
  await remote.answer({ id, sequence: 0 });
  await running;
  const other = await cy.call('POST', url(`/exec/${id}/input`), { input: 'rm -rf /\r' });
  expect(await other.json()).toMatchObject({ code: 'remote.session-unknown' });
  expect(remote.device.received.filter(({ channel }) => channel === 'more')).toEqual([]);
  await remote.answer({ id, sequence: 1, end: { code: 'done', message: '', exitCode: 0 } });
});

test('a program is typed to by who began it, and its exit code comes last', async () => {
  await connect();
  const running = call('POST', '/services/web/exec', { argv: ['sh'], terminal: { columns: 80, rows: 24 } });
  const { id, exec } = await remote.asked();
  expect(exec).toEqual({ argv: ['sh'], terminal: { columns: 80, rows: 24 } });
  await remote.answer({ id, sequence: 0 });
  const response = await running;
  expect((await call('POST', `/exec/${'00'.repeat(16)}/input`, { input: 'x' })).status).toBe(404);
  expect((await call('POST', `/exec/${id}/input`, { input: 'exit 3\r' })).status).toBe(204);
  expect(Buffer.from((await remote.more()).input ?? '', 'base64').toString()).toBe('exit 3\r');
  await remote.answer({ id, sequence: 1, stream: 'stdout', data: Buffer.from('bye').toString('base64') });
  await remote.answer({ id, sequence: 2, end: { code: 'done', message: '', exitCode: 3 } });
  const [, out, end] = lines(await response.text());
  expect(out).toEqual({ data: 'Ynll', stream: 'stdout' });
  expect(end).toEqual({ end: { code: 'done', message: '', exitCode: 3 } });
  expect((await audited()).map(({ action, detail }) => [action, detail])).toEqual([
    ['device.exec', 'web ["sh"]'],
    ['device.exec-end', 'web ["sh"]: done, exit code 3'],
  ]);
});

test('a device answers a few at a time; when its session goes, so do those who look on', async () => {
  await connect();
  const open = await Promise.all(
    Array.from({ length: REMOTE_LIMITS.streams }, async () => {
      const answer = call('GET', '/services/web/logs?follow=true');
      const { id } = await remote.asked();
      await remote.answer({ id, sequence: 0 });
      return answer;
    }),
  );
  const more = await call('GET', '/services/web/why');
  expect(await more.json()).toMatchObject({ code: 'remote.busy', status: 429 });
  await remote.control.endAsync(true);
  for (const answer of open)
    expect(lines(await answer.text()).at(-1)).toMatchObject({ end: { code: 'lost' } });
});
