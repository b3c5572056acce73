import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../protocol/durable-file.ts';

/** The device's P-256 key, PKCS#8 PEM: the one on disk, or a new one, durable with mode 0600. */
export async function deviceKey(path: string): Promise<string> {
  const held = await readFile(path, 'utf8').catch(() => undefined);
  if (held?.includes('PRIVATE KEY')) return held;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const fresh = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  await replaceFile(path, fresh, 0o600);
  return fresh;
}

/** PKCS#10 request, PEM (RFC 2986), ecdsa-with-SHA256. Written out here: a device needs no X.509 package for it. */
export function signingRequest(keyPem: string, commonName: string): string {
  const key = createPrivateKey(keyPem);
  const spki = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  const attribute = der(0x30, COMMON_NAME, der(0x0c, Buffer.from(commonName)));
  const name = der(0x30, der(0x31, attribute));
  const info = der(0x30, der(0x02, Buffer.from([0])), name, spki, der(0xa0));
  const signature = der(0x03, Buffer.from([0]), sign('sha256', info, key));
  return pem('CERTIFICATE REQUEST', der(0x30, info, der(0x30, ECDSA_WITH_SHA256), signature));
}

/** OIDs 2.5.4.3 and 1.2.840.10045.4.3.2, encoded. */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');

/** One DER element: tag, length, content. X.690 §8.1.3: lengths from 128 on take a count of bytes first. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
