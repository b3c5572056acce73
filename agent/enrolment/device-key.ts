import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../update/durable-file.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** The device's P-256 key, PKCS#8 PEM: the one on disk, or a new one, durable with mode 0600. */
export async function deviceKey(path: string): Promise<string> {
  const held = await readFile(path, 'utf8').catch(() => undefined);
  if (held?.includes('PRIVATE KEY')) return held;
  const { privateKey } = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
  await replaceFile(path, pem, 0o600);
  return pem;
}

/** PKCS#10 request, PEM. The X.509 package is loaded here only: a running agent does not carry it. */
export async function signingRequest(keyPem: string, commonName: string): Promise<string> {
  const x509 = await import('@peculiar/x509');
  const { createPrivateKey, createPublicKey } = await import('node:crypto');
  const key = createPrivateKey(keyPem);
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  const keys = {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, P256, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, P256, true, ['verify']),
  };
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: `CN=${commonName}`,
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    },
    webcrypto as typeof globalThis.crypto,
  );
  return request.toString('pem');
}
