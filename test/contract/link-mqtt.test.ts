import { afterEach, beforeEach, expect, test } from 'vitest';
import { tcpDial } from '../../agent/link/dial.ts';
import { MqttLink } from '../../agent/link/mqtt-link.ts';
import type { EventQueue, PostMortemQueue } from '../../agent/link/ports.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { checkEvent, checkHello, type DeviceEvent } from '../../protocol/messages.ts';
import { checkPostMortem, type PostMortem } from '../../protocol/post-mortem.ts';
import { checkAbilities } from '../../protocol/remote.ts';
import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import { checkTimeRequest } from '../../protocol/signed-time.ts';
import { ChunkServer, startTestBroker, type TestBroker } from '../support/chunk-server.ts';
import { until } from '../support/until.ts';

let broker: TestBroker;
let server: ChunkServer;
let link: MqttLink;
const up: { channel: string; body: unknown }[] = [];
const desired: unknown[] = [];
const times: unknown[] = [];
const log: string[] = [];
const requests: unknown[] = [];
let added = () => {};
let events: DeviceEvent[] = [];
let capsules: PostMortem[] = [];
const outbox: EventQueue = {
  pending: (limit) => events.slice(0, limit),
  acknowledge: (ids) => {
    events = events.filter(({ id }) => !ids.includes(id));
  },
  onAdded: (run) => {
    added = run;
  },
};
const postMortems: PostMortemQueue = {
  next: () => capsules[0],
  acknowledge: (id) => {
    capsules = capsules.filter((capsule) => capsule.id !== id);
    return Promise.resolve();
  },
  onAdded: () => undefined,
};
const event = (digit: string): DeviceEvent => ({
  v: 1,
  id: `00000000-0000-4000-8000-00000000000${digit}`,
  at: 1,
  kind: 'update',
  code: 'update.offered',
  message: digit,
});

const capsule = (digit: number): PostMortem => ({
  v: 1,
  id: `00000000000${digit}-web`,
  at: digit,
  kind: 'oom',
  service: 'web',
  reasons: [],
  log: [],
});

beforeEach(async () => {
  up.length = desired.length = times.length = log.length = requests.length = 0;
  events = [];
  capsules = [];
  broker = await startTestBroker();
  server = new ChunkServer(broker.broker, new Map());
  broker.broker.subscribe(
    'up/#',
    ({ topic, payload }, done) => {
      up.push({ channel: topic.split('/').at(-1) ?? '', body: JSON.parse(payload.toString()) });
      done();
    },
    () => {},
  );
  link = new MqttLink({
    identity: { tenant: 'demo', device: 'boat-1' },
    dial: tcpDial({ host: '127.0.0.1', port: broker.port }),
    outbox,
    postMortems,
    handlers: {
      hello: () => ({
        bootId: 'b',
        agentVersion: '1',
        board: 'generic',
        platform: 'linux/amd64',
        generation: 0,
        memoryBytes: 1,
        cpus: 1,
      }),
      onDesired: (envelope) => desired.push(envelope),
      timeRequest: () => ({ v: 1, nonce: 'ab'.repeat(16) }),
      onTime: (answer) => times.push(answer),
      onConnected: () => log.push('connected'),
      onLost: (why) => log.push(why),
    },
    remote: {
      abilities: () => ({ v: 1, session: 'cd'.repeat(16), at: 1, actions: ['why'] }),
      asked: (document) => requests.push(document),
      more: (document) => requests.push(document),
      closed: () => requests.push('closed'),
    },
    clock: systemClock,
    log: { info: () => {}, warn: (_fields, message) => log.push(message) },
    reconnect: { minMs: 20, maxMs: 100 },
    postMortemTimes: { settleMs: 10, paceMs: 10, resendMs: 60_000 },
  });
});
afterEach(async () => {
  await link.stop();
  await broker.close();
});

const sent = (channel: string) => up.filter((message) => message.channel === channel);

test('says hello first and sends events until they are acknowledged', async () => {
  events = [event('1')];
  link.start();
  await until(() => sent('event').length === 1);
  expect(up[0]?.channel).toBe('hello');
  expect(checkHello(up[0]?.body).ok).toBe(true);
  expect(checkEvent(sent('event')[0]?.body).ok).toBe(true);
  server.publish('dn/demo/boat-1/ack', JSON.stringify({ v: 1, ids: [event('1').id] }), 1);
  await until(() => events.length === 0);
  events = [event('2')];
  added();
  await until(() => sent('event').length === 2);
});

test('asks for the time on each connect and takes the answer', async () => {
  link.start();
  await until(() => sent('time').length === 1);
  expect(checkTimeRequest(sent('time')[0]?.body).ok).toBe(true);
  server.publish('dn/demo/boat-1/time', '{"v":1}', 0);
  await until(() => times.length === 1);
  expect(times).toEqual([{ v: 1 }]);
});

test('comes back after a lost session, says hello again and repeats what nobody acknowledged', async () => {
  events = [event('1')];
  link.start();
  await until(() => sent('event').length === 1);
  for (const client of Object.values((broker.broker as unknown as { clients: object }).clients))
    (client as { close(): void }).close();
  await until(() => sent('event').length === 2);
  expect(sent('hello')).toHaveLength(2);
});

test('sends post-mortems until each is acknowledged, again after a lost session', async () => {
  capsules = [capsule(1), capsule(2)];
  link.start();
  await until(() => sent('postmortem').length === 1);
  expect(checkPostMortem(sent('postmortem')[0]?.body)).toEqual({ ok: true, value: capsule(1) });
  for (const client of Object.values((broker.broker as unknown as { clients: object }).clients))
    (client as { close(): void }).close();
  await until(() => sent('postmortem').length === 2);
  server.publish('dn/demo/boat-1/ack', JSON.stringify({ v: 1, ids: [capsule(1).id] }), 1);
  await until(() => sent('postmortem').length === 3);
  expect(sent('postmortem').map(({ body }) => (body as PostMortem).id)).toEqual(
    [1, 1, 2].map((digit) => capsule(digit).id),
  );
});

test('hands assignments on and drops what it cannot read with a word in the log', async () => {
  link.start();
  await until(() => link.isConnected());
  server.publish('dn/demo/boat-1/desired', '{', 1);
  server.publish('dn/demo/boat-1/ack', '{"v":2}', 1);
  server.publish('dn/demo/boat-1/desired', '{"v":1}', 1);
  await until(() => desired.length === 1);
  expect(desired).toEqual([{ v: 1 }]);
  expect(log.filter((line) => line.includes('could not be read'))).toHaveLength(2);
});

test('says once a session what it may be asked, and hands on what is asked, unless it is too large', async () => {
  link.start();
  await until(() => sent('abilities').length === 1);
  expect(checkAbilities(sent('abilities')[0]?.body).ok).toBe(true);
  expect(up.map(({ channel }) => channel).indexOf('abilities')).toBeGreaterThan(0);
  server.publish('dn/demo/boat-1/ask', JSON.stringify({ v: 1, big: 'x'.repeat(REMOTE_LIMITS.askBytes) }), 0);
  server.publish('dn/demo/boat-1/ask', '{"v":1}', 0);
  server.publish('dn/demo/boat-1/more', '{"v":2}', 0);
  await until(() => requests.length === 2);
  expect(requests).toEqual([{ v: 1 }, { v: 2 }]);
  expect(log.filter((line) => line.includes('could not be read'))).toHaveLength(1);
  await link.stop();
  expect(requests.at(-1)).toBe('closed');
});

test('a server of the version before, which refuses dn/ask, is told no abilities and has the link all the same', async () => {
  broker.broker.authorizeSubscribe = (_client, subscription, done) =>
    done(null, /\/(?:ask|more)$/.test(subscription.topic) ? null : subscription);
  link.start();
  await until(() => sent('hello').length === 1);
  server.publish('dn/demo/boat-1/desired', '{"v":1}', 1);
  await until(() => desired.length === 1);
  expect([sent('abilities'), link.isConnected()]).toEqual([[], true]);
});
