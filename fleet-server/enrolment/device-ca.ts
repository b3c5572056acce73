import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { sha256Hex } from '../../protocol/canonical.ts';
import { replaceFile } from '../../protocol/durable-file.ts';

const DAY_MS = 86_400_000;
const CA_DAYS = 3_650;
const SERVER_DAYS = 180;
export const DEVICE_DAYS = 90;
const RENEW_BEFORE_DAYS = 30;
/** A device's clock may be behind when it enrols. */
const BACKDATE_MS = DAY_MS;
const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

x509.cryptoProvider.set(webcrypto);

export interface IssuedCertificate {
  pem: string;
  /** Of the DER, hex. */
  sha256: string;
  expiresAt: number;
}

/** Issues the certificates of devices and of this server. Its key has nothing to do with release keys. */
export interface DeviceCa {
  pem: string;
  /** Of the DER, hex: what a join string pins. */
  sha256: string;
  issueDevice(device: string, publicKey: x509.PublicKey): Promise<IssuedCertificate>;
  /** Key and chain (leaf, CA) for `names`; kept in the folder and renewed when it nears its end. */
  serverCertificate(names: string[]): Promise<{ key: string; cert: string }>;
}

export type CheckedRequest = { ok: true; publicKey: x509.PublicKey } | { ok: false; fault: string };

/** Proof of possession and key type of a PKCS#10. Its subject and extensions are ignored on purpose. */
export async function checkRequest(pem: string): Promise<CheckedRequest> {
  try {
    const request = new x509.Pkcs10CertificateRequest(pem);
    const { name, namedCurve } = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
    if (name !== 'ECDSA' || namedCurve !== 'P-256') return { ok: false, fault: 'its key is not P-256' };
    if (!(await request.verify())) return { ok: false, fault: 'it is not signed by its own key' };
    return { ok: true, publicKey: request.publicKey };
  } catch (error) {
    return { ok: false, fault: `it is not a PKCS#10 request (${(error as Error).message})` };
  }
}

/** Opens the CA in `folder`, made at the first start. */
export async function openDeviceCa(folder: string, now: () => number): Promise<DeviceCa> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { certificate, key } = (await loadCa(folder)) ?? (await createCa(folder, now()));
  const pem = certificate.toString('pem');
  const issue = (subject: string, publicKey: x509.PublicKey, days: number, extensions: x509.Extension[]) =>
    x509.X509CertificateGenerator.create({
      subject: `CN=${subject}`,
      issuer: certificate.subject,
      notBefore: new Date(now() - BACKDATE_MS),
      notAfter: new Date(now() + days * DAY_MS),
      signingAlgorithm: SIGNING,
      publicKey,
      signingKey: key,
      serialNumber: serial(),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...extensions,
      ],
    });
  return {
    pem,
    sha256: sha256Hex(new Uint8Array(certificate.rawData)),
    issueDevice: async (device, publicKey) => {
      const issued = await issue(device, publicKey, DEVICE_DAYS, [
        new x509.ExtendedKeyUsageExtension([CLIENT_AUTH]),
      ]);
      return {
        pem: issued.toString('pem'),
        sha256: sha256Hex(new Uint8Array(issued.rawData)),
        expiresAt: issued.notAfter.getTime(),
      };
    },
    serverCertificate: async (names) => {
      const kept = await loadServer(folder, names, now());
      if (kept) return { key: kept.key, cert: kept.cert + pem };
      const pair = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
      const issued = await issue(
        names[0] ?? 'localhost',
        await x509.PublicKey.create(pair.publicKey),
        SERVER_DAYS,
        [
          new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
          new x509.SubjectAlternativeNameExtension(
            names.map((name) => ({ type: isIP(name) ? 'ip' : 'dns', value: name })),
          ),
        ],
      );
      const made = { key: await keyPem(pair.privateKey), cert: `${issued.toString('pem')}\n` };
      await replaceFile(join(folder, 'server.key'), made.key, 0o600);
      await replaceFile(join(folder, 'server.pem'), made.cert, 0o644);
      return { key: made.key, cert: made.cert + pem };
    },
  };
}

async function createCa(folder: string, now: number) {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Wherry device CA',
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNING,
    keys,
    serialNumber: serial(),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  // Key first: a cut between the two leaves a key without a certificate, and both are made anew.
  await replaceFile(join(folder, 'ca.key'), await keyPem(keys.privateKey), 0o600);
  await replaceFile(join(folder, 'ca.pem'), `${certificate.toString('pem')}\n`, 0o644);
  return { certificate, key: keys.privateKey };
}

async function loadCa(folder: string) {
  const [key, pem] = await Promise.all([read(join(folder, 'ca.key')), read(join(folder, 'ca.pem'))]);
  if (key === undefined || pem === undefined) return undefined;
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' });
  return {
    certificate: new x509.X509Certificate(pem),
    key: await webcrypto.subtle.importKey('pkcs8', der, P256, false, ['sign']),
  };
}

async function loadServer(folder: string, names: string[], now: number) {
  const [key, cert] = await Promise.all([read(join(folder, 'server.key')), read(join(folder, 'server.pem'))]);
  if (key === undefined || cert === undefined) return undefined;
  const certificate = new x509.X509Certificate(cert);
  const held = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const isComplete = names.every((name) => held.some(({ value }) => value === name));
  const isFresh = certificate.notAfter.getTime() - now > RENEW_BEFORE_DAYS * DAY_MS;
  return isComplete && isFresh ? { key, cert } : undefined;
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** 126 random bits, positive: RFC 5280 §4.1.2.2. */
const serial = (): string => {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
};
