import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { signingRequest } from '../../agent/enrolment/device-key.ts';
import { tlsDial } from '../../agent/link/dial.ts';
import { checkRequest, type DeviceCa, openDeviceCa } from '../../fleet-server/enrolment/device-ca.ts';
import { until } from '../support/until.ts';

let folder: string;
let ours: DeviceCa;
let theirs: DeviceCa;
let server: Server;
let port: number;
let accepted: TLSSocket[];
let reused: boolean[];
let tickets: number;
let open: Duplex[];

async function deviceOf(ca: DeviceCa) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const checked = await checkRequest(signingRequest(key, 'cam-1'));
  if (!checked.ok) throw new Error(checked.fault);
  return { key, certificate: (await ca.issueDevice('cam-1', checked.publicKey)).pem };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wherry-tls-'));
  ours = await openDeviceCa(join(folder, 'ours'), Date.now);
  theirs = await openDeviceCa(join(folder, 'theirs'), Date.now);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function serve(ca: DeviceCa, names = ['127.0.0.1']) {
  const options = { ca: ours.pem, requestCert: true, rejectUnauthorized: true };
  server = createServer({ ...(await ca.serverCertificate(names)), ...options }, (socket) => {
    accepted.push(socket);
    reused.push(socket.isSessionReused());
    socket.on('error', () => {});
    socket.write('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as { port: number }).port;
}

beforeEach(() => {
  accepted = [];
  reused = [];
  tickets = 0;
  open = [];
});
afterEach(async () => {
  for (const socket of [...open, ...accepted]) socket.destroy();
  server.close();
  await once(server, 'close');
});

const dialer = (device: { key: string; certificate: string }, ca = ours.pem) =>
  tlsDial({ host: '127.0.0.1', port, ...device, ca });

/** Opens a connection and gives what the server says first, or how it ended. */
function talk(dial: () => Duplex): Promise<string> {
  const socket = dial();
  open.push(socket);
  return new Promise((resolve) => {
    socket.on('session', () => tickets++);
    socket.on('close', () => resolve('closed'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('data', (data: Buffer) => resolve(data.toString()));
  });
}

test('both ends prove who they are', async () => {
  await serve(ours);
  expect(await talk(dialer(await deviceOf(ours)))).toBe('hello');
  expect(accepted[0]?.getPeerCertificate().subject.CN).toBe('cam-1');
  expect(accepted[0]?.getProtocol()).toBe('TLSv1.3');
});

test('a server of another CA gets no word from the device', async () => {
  await serve(theirs);
  expect(await talk(dialer(await deviceOf(ours)))).toMatch(/CERT_SIGNATURE|UNABLE_TO|SELF_SIGNED/);
  expect(accepted).toEqual([]);
});

test('a server whose certificate is for another name is refused', async () => {
  await serve(ours, ['fleet.example']);
  expect(await talk(dialer(await deviceOf(ours)))).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
});

test('a device of another CA is refused', async () => {
  await serve(ours);
  expect(await talk(dialer(await deviceOf(theirs)))).not.toBe('hello');
  expect(accepted).toEqual([]);
});

test('the next connection of a dial takes up the session of the one before', async () => {
  await serve(ours);
  const dial = dialer(await deviceOf(ours));
  expect(await talk(dial)).toBe('hello');
  await until(() => tickets > 0, { what: 'a session ticket' });
  expect(await talk(dial)).toBe('hello');
  expect(reused).toEqual([false, true]);
  expect(accepted[1]?.getPeerCertificate().subject.CN).toBe('cam-1');
});
