import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../protocol/limits.ts';
import { upTopic } from '../../protocol/topics.ts';
import { type TestDevice, TestFleet } from '../support/fleet-server.ts';
import { until } from '../support/until.ts';

let fleet: TestFleet;
let foreign: TestFleet;
let device: TestDevice;

beforeAll(async () => {
  [fleet, foreign] = [await TestFleet.start(), await TestFleet.start()];
  device = await fleet.device('cam-1');
});
afterEach(() => device.close());
afterAll(async () => {
  await fleet.close();
  await foreign.close();
});

test.each([
  ['another device’s topic', upTopic('default', 'cam-2', 'report'), {}],
  ['another device’s post-mortem', upTopic('default', 'cam-2', 'postmortem'), { qos: 1 as const }],
  ['a topic of the server', 'dn/default/cam-1/desired', {}],
  ['$SYS', '$SYS/x', {}],
  ['the bulk channel on the control session', upTopic('default', 'cam-1', 'get'), {}],
  ['a retained message', upTopic('default', 'cam-1', 'report'), { retain: true }],
  ['QoS 2', upTopic('default', 'cam-1', 'report'), { qos: 2 as const }],
])('publishing to %s ends the session', async (_what, topic, options) => {
  const control = await device.connect('control');
  control.publish(topic, '{}', options);
  await until(() => !control.connected, { what: 'the session to end' });
  expect(control.connected).toBe(false);
});

test.each([
  '#',
  '$SYS/#',
  'dn/#',
  'dn/default/+/desired',
  'dn/default/cam-2/+',
  'up/#',
])('subscribing to %s is negated', async (filter) => {
  const control = await device.connect('control');
  const granted = await control.subscribeAsync(filter).catch((error: Error) => error.message);
  expect(JSON.stringify(granted)).toMatch(/128|Unspecified error/);
});

test('a second connection of an id replaces the first and is heard', async () => {
  const first = await device.connect('control');
  const second = await device.connect('control');
  await until(() => !first.connected, { what: 'the first session to end' });
  await device.hello(second);
  await until(isOnline, { what: 'hello to be stored' });
  expect(second.connected).toBe(true);
});

test.each([
  ['another client id', { clientId: 'cam-2' }],
  ['a username that is not its own', { username: 'cam-2', password: 'x' }],
  ['a kept session', { clean: false }],
  ['MQTT 5', { protocolVersion: 5 as const }],
])('connecting with %s is refused', async (_what, options) => {
  await expect(device.connect('control', options)).rejects.toThrow(
    /Connection refused|onnection closed|lose/,
  );
});

test('connecting without a certificate, or with one of another CA, is refused', async () => {
  const stranger = await foreign.device('cam-1');
  const { certificate } = stranger.identity;
  await expect(device.connect('control', { cert: certificate, key: stranger.key })).rejects.toThrow(
    /Couldn't connect|alert/,
  );
  await expect(device.connect('control', { cert: '', key: '' })).rejects.toThrow(/Couldn't connect|alert/);
  // The same call with its own certificate works, so it was the certificate.
  expect((await device.connect('control')).connected).toBe(true);
});

test('a packet that declares too much is cut before its body arrives', async () => {
  const socket = await rawSocket();
  const length = LIMITS.preAuthPacketBytes;
  socket.write(Buffer.from([0x10, (length & 127) | 128, length >> 7]));
  await until(() => socket.destroyed, { what: 'the socket to be cut' });
  expect(socket.bytesRead).toBe(0);
});

const isOnline = async () => (await fleet.api('GET', '/devices/cam-1')).body.agentVersion === '0.1.0';

function rawSocket(): Promise<TLSSocket> {
  return new Promise((done, fail) => {
    const { ca, certificate: cert } = device.identity;
    const { mqtt: port } = fleet.server.ports;
    const socket = connect(
      { host: '127.0.0.1', port, servername: 'localhost', ca, cert, key: device.key },
      () => done(socket),
    );
    socket.on('error', fail);
    // Without a reader the end of the stream is never seen.
    socket.resume();
  });
}
