import type { AgentClient } from '../client.ts';
import { NAME_KINDS, type NameKind } from './model.ts';

/** The word that the completions call; for them alone, and therefore not among the commands. */
export const NAMES_WORD = '__names';

/** Longer than this and the person has typed on. Milliseconds. */
export const NAMES_TIMEOUT_MS = 2_000;

const READ: Record<NameKind, (client: AgentClient) => Promise<string[]>> = {
  services: async (client) => (await client.services()).services.map(({ name }) => name),
  channels: async (client) => (await client.channels()).channels.map(({ name }) => name),
  holders: async (client) => (await client.leases()).leases.map(({ holder }) => holder),
  postmortems: async (client) => (await client.postmortems()).postmortems.map(({ id }) => id),
  secrets: async (client) => (await client.secrets()).secrets.map(({ name }) => name),
};

/** Names for a shell to offer; none when the agent is down or does not know the kind: a completion never complains. */
export async function namesFor(kind: string | undefined, client: AgentClient): Promise<string[]> {
  const known = NAME_KINDS.find((name) => name === kind);
  if (known === undefined) return [];
  try {
    const names = await READ[known](client);
    // A name with a space or a quote is one that a person types.
    return names.filter((name) => /^[\w.:@+-]+$/.test(name));
  } catch {
    return [];
  }
}
