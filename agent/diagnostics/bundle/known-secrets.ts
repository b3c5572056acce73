import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJoinString } from '../../../protocol/enrolment.ts';
import type { AgentConfig } from '../../config.ts';
import { IDENTITY_FILES } from '../../enrolment/identity.ts';
import { SecretStore } from '../../supervisor/secrets/secret-store.ts';
import type { Needle } from '../core/redact.ts';
import { SHORTEST, secretForms } from './secret-forms.ts';

export interface KnownSecrets {
  needles: Needle[];
  /** How many secrets they are of. */
  count: number;
  /** Names of those that cannot be recognised, and why. */
  gaps: string[];
}

/** Everything secret that this device itself holds. Throws when the store cannot be read at all. */
export async function knownSecrets({ stateDir, join: joinString }: AgentConfig): Promise<KnownSecrets> {
  const known: KnownSecrets = { needles: [], count: 0, gaps: [] };
  const add = (name: string, content: Uint8Array): void => {
    const needles = secretForms(name, content);
    if (needles.length === 0) known.gaps.push(`${name} has fewer than ${SHORTEST} characters`);
    else known.needles.push(...needles);
    known.count += 1;
  };
  await addStored(new SecretStore(stateDir), add, known);
  const files = { 'device key': `identity/${IDENTITY_FILES.key}`, 'key of the secrets': 'secrets.key' };
  for (const [name, file] of Object.entries(files)) {
    const content = await readFile(join(stateDir, file)).catch(absent);
    if (content !== undefined) add(name, content);
  }
  const token = joinString === undefined ? undefined : parseJoinString(joinString)?.token;
  if (token !== undefined) add('join token', Buffer.from(token));
  return known;
}

async function addStored(
  store: SecretStore,
  add: (name: string, content: Uint8Array) => void,
  known: KnownSecrets,
): Promise<void> {
  for (const name of await store.list()) {
    try {
      const content = await store.open(name);
      if (content !== undefined) add(`secret ${name}`, content);
    } catch {
      known.gaps.push(`secret ${name} is damaged`);
    }
  }
}

const absent = (error: NodeJS.ErrnoException): undefined => {
  if (error.code === 'ENOENT') return undefined;
  throw error;
};
