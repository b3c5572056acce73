import { createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';

import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { enrol } from '../../agent/enrolment/enrol.ts';
import { loadIdentity } from '../../agent/enrolment/identity.ts';
import { sha256Hex } from '../../protocol/canonical.ts';
import { checkEnrolRequest, formatJoinString } from '../../protocol/enrolment.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;
const YEAR_MS = 365 * 86_400_000;
const newKeys = () => webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
type Keys = Awaited<ReturnType<typeof newKeys>>;

async function newCa(name: string) {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: SIGNING,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + YEAR_MS),
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return { keys, certificate, pem: certificate.toString('pem') };
}

const issue = (ca: Awaited<ReturnType<typeof newCa>>, subject: string, publicKey: Keys['publicKey']) =>
  x509.X509CertificateGenerator.create({
    subject,
    issuer: ca.certificate.subject,
    publicKey,
    signingKey: ca.keys.privateKey,
    signingAlgorithm: SIGNING,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + YEAR_MS),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });

const fleetKey = createPublicKey(
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
).export({ type: 'spki', format: 'pem' }) as string;
let folder: string;
let server: Server;
let port: number;
let ca: Awaited<ReturnType<typeof newCa>>;
let asked: unknown[];
let status: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wherry-enrol-'));
  asked = [];
  status = 200;
  ca = await newCa('Wherry CA');
  const keys = await newKeys();
  const leaf = await issue(ca, 'CN=server', keys.publicKey);
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const cert = `${leaf.toString('pem')}\n${ca.pem}`;
  server = createServer(
    { key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`, cert },
    async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const body = checkEnrolRequest(JSON.parse(Buffer.concat(parts).toString()));
      asked.push(body);
      response.writeHead(status, { 'content-type': 'application/json' });
      if (status !== 200) return response.end(JSON.stringify({ detail: 'the token was used up' }));
      const csr = new x509.Pkcs10CertificateRequest(body.ok ? body.value.csr : '');
      const device = await issue(ca, csr.subject, await csr.publicKey.export());
      const mqtt = { host: '127.0.0.1', port: 8883 };
      const certificate = device.toString('pem');
      const answer = { v: 1, device: 'boat-1', tenant: 'demo', certificate, ca: ca.pem, fleetKey, mqtt };
      return response.end(JSON.stringify(answer));
    },
  );
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  port = (server.address() as { port: number }).port;
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function enrolWith(caDer: ArrayBuffer) {
  const caSha256 = sha256Hex(new Uint8Array(caDer));
  const joinString = formatJoinString({ host: '127.0.0.1', port, caSha256, token: 'token-of-16-chars' });
  const identityDir = join(folder, 'identity');
  return enrol({ joinString, name: 'boat-1', board: 'generic', platform: 'linux/amd64', identityDir });
}

test('trades the token for an identity that is there the next time', async () => {
  const identity = await enrolWith(ca.certificate.rawData);
  expect(identity).toMatchObject({ device: 'boat-1', tenant: 'demo', board: 'generic' });
  expect(await loadIdentity(join(folder, 'identity'))).toEqual(identity);
  expect(statSync(join(folder, 'identity')).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, 'identity', 'device.key')).mode & 0o777).toBe(0o600);
  await enrolWith(ca.certificate.rawData);
  expect(asked).toHaveLength(1);
});

test('a server with another CA never sees the token', async () => {
  const other = await newCa('Wherry CA');
  await expect(enrolWith(other.certificate.rawData)).rejects.toThrow('Cannot trust 127.0.0.1');
  expect(asked).toEqual([]);
});

test('a refusal is told in the words of the server, and enrolling can be tried again with the same key', async () => {
  status = 403;
  await expect(enrolWith(ca.certificate.rawData)).rejects.toThrow('403: the token was used up');
  expect(await loadIdentity(join(folder, 'identity'))).toBeUndefined();
  expect(readdirSync(join(folder, 'identity'))).toEqual(['device.key']);
  status = 200;
  expect((await enrolWith(ca.certificate.rawData)).device).toBe('boat-1');
});
