import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../protocol/durable-file.ts';

/** The ed25519 key in `path`, made (mode 0600) when it is not there yet. */
export async function ed25519KeyFile(path: string): Promise<KeyObject> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) return createPrivateKey(text);
  const { privateKey } = generateKeyPairSync('ed25519');
  await replaceFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
  return privateKey;
}
