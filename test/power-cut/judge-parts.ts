import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { agentsHeld, agentWanted } from '../../agent/update/core/record.ts';
import { chooseAgent } from './choose.ts';
import type { Device } from './device.ts';
import type { Known } from './judge.ts';
import { contentsOf } from './play.ts';

/** Each secret has the content that was said to be kept, or the one that was being put. */
export async function secretFaults(device: Device, { secrets }: Known): Promise<string[]> {
  const seen = await contentsOf(device.agent.secrets);
  const isKnown = isDeepStrictEqual(seen, secrets.last) || isDeepStrictEqual(seen, secrets.next);
  return isKnown ? [] : [`its secrets are ${Object.keys(seen).join() || 'none'}, or not as they were put`];
}

/** When nothing moves any more the agent that the record wants is the next to be started, and no other is kept. */
export function agentFaults({ agent, firstChosen }: Device, stateDir: string): string[] {
  if (firstChosen === undefined) return [];
  const record = agent.ledger.load();
  const wanted = agentWanted(record)?.id ?? 'shipped';
  const chosen = chooseAgent(stateDir);
  const faults = chosen === wanted ? [] : [`it would start the agent ${chosen}; its record wants ${wanted}`];
  if (record.phase !== 'committed') return faults;
  const kept = agentsHeld(record);
  const left = readdirSync(join(stateDir, 'agent'), { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && !kept.has(entry.name),
  );
  return left.length === 0 ? faults : [...faults, `agents left: ${left.map(({ name }) => name).join()}`];
}
