import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../test/support/until.ts';
import { FakeAgentView } from './fake-agent-view.ts';
import { fakeStatus, NOW } from './fake-status.ts';
import { LOCAL_API_LIMITS } from './limits.ts';
import { type LocalApi, serveLocalApi } from './server.ts';

let folder: string;
let socketPath: string;
let view: FakeAgentView;
let api: LocalApi;
let errors: unknown[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-local-api-'));
  socketPath = join(folder, 'agent.sock');
  view = new FakeAgentView(fakeStatus());
  errors = [];
  api = await serveLocalApi({ view, socketPath, onError: (error) => errors.push(error) });
});

afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

function open(method: string, path: string, body = ''): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, agent: false }, resolve);
    call.on('error', reject);
    call.end(body);
  });
}

async function ask(method: string, path: string, body = '') {
  const response = await open(method, path, body);
  return {
    status: response.statusCode,
    type: response.headers['content-type'],
    allow: response.headers.allow,
    body: JSON.parse(await text(response)) as Record<string, unknown>,
  };
}

describe('documents', () => {
  test('version and status are the view’s own', async () => {
    expect(await ask('GET', '/v1/version')).toMatchObject({
      status: 200,
      type: 'application/json',
      body: { version: '7.8.9', api: 'v1', node: process.version },
    });
    expect((await ask('GET', '/v1/status')).body).toEqual(fakeStatus());
    expect((await ask('GET', '/v1/services')).body).toEqual({ services: fakeStatus().services });
  });

  test('why gives the reasons as the agent orders them, beside the state', async () => {
    const reasons = [{ code: 'start.retry' as const, message: 'Second start', at: NOW }];
    view.reasons = { sensor: reasons, gone: reasons };
    const { state, since } = fakeStatus().services[0] ?? {};
    expect((await ask('GET', '/v1/services/sensor/why')).body).toEqual({
      service: 'sensor',
      state,
      since,
      reasons,
    });
    expect((await ask('GET', '/v1/services/gone/why')).body).toEqual({ service: 'gone', reasons });
  });

  test('restart is accepted with the name of who asked', async () => {
    expect(await ask('POST', '/v1/services/web/restart', '{"by":"ada"}')).toMatchObject({
      status: 202,
      body: { service: 'web', result: 'accepted' },
    });
    await ask('POST', '/v1/services/web/restart');
    expect(view.holds.restarts).toEqual([
      { service: 'web', who: 'ada' },
      { service: 'web', who: 'local' },
    ]);
  });

  test('a service is stopped for a time, started, and what happened is told as it comes', async () => {
    expect(
      await ask('POST', '/v1/services/web/stop', '{"by":"ada","why":"lens","forMs":60000}'),
    ).toMatchObject({
      status: 202,
      body: { service: 'web', result: 'held', until: NOW + 60_000, dependants: [] },
    });
    expect((await ask('GET', '/v1/services/web/why')).body['hold']).toEqual({
      by: 'ada',
      why: 'lens',
      since: NOW,
      until: NOW + 60_000,
    });
    expect(await ask('POST', '/v1/services/web/restart', '{"by":"ada"}')).toMatchObject({
      status: 409,
      body: { code: 'service-held' },
    });
    expect(await ask('POST', '/v1/services/web/start')).toMatchObject({
      status: 202,
      body: { service: 'web', result: 'accepted' },
    });
    expect((await ask('GET', '/v1/net')).body['rules']).toEqual({ state: 'none', counters: [] });
  });

  test('a secret is taken as it comes, up to its own limit, and never given back', async () => {
    const content = `\u0000 ${'s3cret'.repeat(10_000)}`;
    expect(await ask('PUT', '/v1/secrets/token?by=ada', content)).toMatchObject({
      status: 200,
      body: { secret: 'token', result: 'put', services: [] },
    });
    expect(view.secrets.kept.get('token')).toBe(content);
    expect((await ask('GET', '/v1/secrets')).body).toEqual({
      secrets: [{ name: 'token', isHere: true, services: [] }],
    });
    expect(await ask('GET', '/v1/secrets/token')).toMatchObject({ status: 405, allow: 'PUT, DELETE' });
    expect((await ask('DELETE', '/v1/secrets/token')).body).toMatchObject({ result: 'removed' });
    expect(view.secrets.changes).toEqual(['ada put token', 'local removed token']);
  });
});

describe('refusals are problem documents', () => {
  test.each([
    ['GET', '/', '', 404, 'no-such-route'],
    ['GET', '/v1/services/%ff/why', '', 404, 'no-such-route'],
    ['DELETE', '/v1/status', '', 405, 'method-not-allowed'],
    ['GET', '/v1/services/sensr/why', '', 404, 'unknown-service'],
    ['GET', '/v1/services/sensr/logs', '', 404, 'unknown-service'],
    ['POST', '/v1/services/sensr/restart', '', 404, 'unknown-service'],
    ['POST', '/v1/services/web/restart', 'by=ada', 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', 'null', 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', '{"by":"a\\nb"}', 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', `{"by":"${'a'.repeat(65)}"}`, 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', ' '.repeat(1025), 413, 'body-too-large'],
    ['POST', '/v1/services/sensr/stop', '', 404, 'unknown-service'],
    ['POST', '/v1/services/sensr/start', '', 404, 'unknown-service'],
    ['POST', '/v1/services/web/stop', '{"by":"ada","forMs":0}', 400, 'bad-body'],
    ['POST', '/v1/services/web/stop', '{"by":"ada","forMs":604800001}', 400, 'bad-body'],
    ['POST', '/v1/services/web/stop', '{"by":"ada","until":1}', 400, 'bad-body'],
    ['POST', '/v1/services/web/start', '{"by":"ada","forMs":1}', 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', '{"by":"ada","why":"a\\nb"}', 400, 'bad-body'],
    ['POST', '/v1/services/web/restart', '{"by":"ada","why":""}', 400, 'bad-body'],
    ['GET', '/v1/events?limit=1001', '', 400, 'bad-query'],
    ['GET', '/v1/events?since=-1', '', 400, 'bad-query'],
    ['GET', '/v1/events?follow=2', '', 400, 'bad-query'],
    ['POST', '/v1/net', '', 405, 'method-not-allowed'],
    ['PUT', '/v1/secrets/token', ' '.repeat(65_537), 413, 'body-too-large'],
    ['PUT', '/v1/secrets/token?by=%0A', 'x', 400, 'bad-query'],
    ['PUT', '/v1/secrets/..%2Fledger.db', 'x', 400, 'bad-secret'],
    ['PUT', '/v1/secrets/', 'x', 400, 'bad-secret'],
    ['DELETE', '/v1/secrets/A', '', 400, 'bad-secret'],
    ['GET', '/v1/services/web/logs?tail=-1', '', 400, 'bad-query'],
    ['GET', '/v1/services/web/logs?tail=10001', '', 400, 'bad-query'],
    ['GET', '/v1/services/web/logs?follow=yes', '', 400, 'bad-query'],
  ])('%s %s %s', async (method, path, body, status, code) => {
    const answer = await ask(method, path, body);
    expect(answer).toMatchObject({ status, type: 'application/problem+json', body: { status, code } });
    expect([view.holds.restarts, view.holds.starts, view.holds.held.size]).toEqual([[], [], 0]);
    expect(view.secrets.changes).toEqual([]);
  });

  test('an unknown service names the ones there are, a wrong method the right one', async () => {
    expect((await ask('GET', '/v1/services/x/why')).body['services']).toEqual(['sensor', 'web']);
    expect((await ask('GET', '/v1/services/web/restart')).allow).toBe('POST');
  });

  test('a failing agent is an internal problem that says nothing of its insides', async () => {
    view.status = () => {
      throw new Error('secret path');
    };
    const answer = await ask('GET', '/v1/status');
    expect(answer).toMatchObject({ status: 500, body: { code: 'internal' } });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(errors).toHaveLength(1);
  });
});

const line = (text: string) => ({ at: NOW, stream: 'stdout' as const, text });

describe('logs', () => {
  test('give the tail, oldest first, and end', async () => {
    view.write('web', line('one'), line('two'), line('three'));
    const response = await open('GET', '/v1/services/web/logs?tail=2');
    expect(response.headers['content-type']).toBe('application/x-ndjson');
    expect(await text(response)).toBe(`${JSON.stringify(line('two'))}\n${JSON.stringify(line('three'))}\n`);
  });

  test('follow goes on until the caller leaves, and the agent then lets go of the log', async () => {
    const response = await open('GET', '/v1/services/web/logs?follow=1');
    view.write('web', line('later'));
    const [first] = (await response[Symbol.asyncIterator]().next()).value.toString().split('\n');
    expect(JSON.parse(first)).toEqual(line('later'));
    response.destroy();
    await until(() => view.followers.size === 0, { what: 'the follower to be let go' });
    expect(errors).toEqual([]);
  });

  test('a reader that does not read holds the source back', async () => {
    const total = 20_000;
    view.write('web', ...Array.from({ length: total }, () => line('x'.repeat(1000))));
    const response = await open('GET', '/v1/services/web/logs?tail=10000');
    let taken = 0;
    let looksUnchanged = 0;
    const isHeld = () => {
      looksUnchanged = taken === view.linesTaken ? looksUnchanged + 1 : 0;
      taken = view.linesTaken;
      return taken > 0 && looksUnchanged >= 5;
    };
    await until(isHeld, { what: 'the source to stand still' });
    expect(taken).toBeLessThan(5_000);
    expect((await text(response)).split('\n')).toHaveLength(10_001);
  });

  test('a source that fails breaks the stream instead of ending it', async () => {
    view.logs = async function* () {
      yield line('one');
      throw new Error('disk');
    };
    const response = await open('GET', '/v1/services/web/logs');
    await expect(text(response)).rejects.toThrow('aborted');
    expect(errors).toEqual([new Error('disk')]);
  });

  test('closing the API cuts followers off', async () => {
    const response = await open('GET', '/v1/services/web/logs?follow=1');
    await api.close();
    await expect(text(response)).rejects.toThrow('aborted');
    await until(() => view.followers.size === 0, { what: 'the follower to be let go' });
  });
});

test('more callers than the limit are cut off, and there is room again when one leaves', async () => {
  const idle = Array.from({ length: LOCAL_API_LIMITS.connections }, () => connect(socketPath));
  await until(() => idle.every((socket) => !socket.connecting), { what: 'the connections' });
  await expect(ask('GET', '/v1/version')).rejects.toThrow(/ECONNRESET|EPIPE|hang up/);
  for (const socket of idle) socket.destroy();
  await until(() => ask('GET', '/v1/version').catch(() => undefined), { what: 'room for a caller' });
});

test('headers beyond the limit are refused', async () => {
  const response = await open('GET', `/v1/status?${'x'.repeat(LOCAL_API_LIMITS.headerBytes)}`);
  response.resume();
  expect(response.statusCode).toBe(431);
});
