import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { Key } from '@tufjs/models';
import type { PublicKey } from '../protocol/tuf.ts';
import { isSignedBy } from '../protocol/tuf-keys.ts';
import { messageOf, ReleaseError } from './errors.ts';

const TIMEOUT_MS = 120_000;
const HEX = /^(?:[0-9a-f]{2})+$/i;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * A signature by a program, for keys that never leave a token: the program gets the bytes on standard input and prints
 * the signature, hexadecimal or base64 (ed25519: 64 bytes; ECDSA: DER; RSA: PSS with SHA-256). It runs in a shell with
 * WHERRY_KEYID, and its words go to standard error. What it prints is checked before it is taken.
 */
export async function signByCommand(
  command: string,
  { keyid, publicKey }: { keyid: string; publicKey: PublicKey },
  bytes: Buffer,
): Promise<string> {
  const fail = (what: string): never => {
    throw new ReleaseError('signer', `Cannot sign with key ${keyid.slice(0, 16)}: the signer ${what}`);
  };
  const child = spawn('/bin/sh', ['-c', command], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, WHERRY_KEYID: keyid },
    timeout: TIMEOUT_MS,
  });
  // A signer that does not read its input is told by its exit code or by what it prints.
  child.stdin.on('error', () => {});
  child.stdin.end(bytes);
  const [printed, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')]).catch(
    (error: unknown) => fail(`cannot be run: ${messageOf(error)}`),
  );
  if (code !== 0) fail(`"${command}" ended with ${signal ?? `exit code ${code}`}`);
  const signature = asHex(printed.trim()) ?? fail('printed no signature; wanted hexadecimal or base64');
  if (!isSignedBy(Key.fromJSON(keyid, { ...publicKey }), bytes, signature))
    fail('printed a signature that is not by this key');
  return signature;
}

function asHex(printed: string): string | undefined {
  if (HEX.test(printed)) return printed.toLowerCase();
  return BASE64.test(printed) ? Buffer.from(printed, 'base64').toString('hex') : undefined;
}
