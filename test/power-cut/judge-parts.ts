import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { agentsHeld, agentWanted, systemWanted } from '../../agent/update/core/record.ts';
import { parseManifest } from '../../agent/update/desired-services.ts';
import { bootBoard } from './board.ts';
import { chooseAgent } from './choose.ts';
import type { Device } from './device.ts';
import type { Known } from './judge.ts';
import { manifestOf } from './on-disk.ts';
import { contentsOf } from './play.ts';
import type { Scenario } from './story.ts';

/** Each secret has the content that was said to be kept, or the one that was being put. */
export async function secretFaults(device: Device, { secrets }: Known): Promise<string[]> {
  const seen = await contentsOf(device.agent.secrets);
  const isKnown = isDeepStrictEqual(seen, secrets.last) || isDeepStrictEqual(seen, secrets.next);
  return isKnown ? [] : [`its secrets are ${Object.keys(seen).join() || 'none'}, or not as they were put`];
}

/** What was stopped by hand is stopped, and what happened says the same: both were written or neither. */
export function holdFaults({ agent: { holds, ledger } }: Device, known: Known): string[] {
  const held = [...holds.inForce().keys()];
  const { last, next } = known.holds;
  const isKnown = isDeepStrictEqual(held, last) || isDeepStrictEqual(held, next);
  const codes = ledger.events.list({ limit: 99, service: 'web' }).map(({ event }) => event.code);
  return [
    ...(isKnown ? [] : [`stopped by hand are ${held.join() || 'none'}`]),
    ...((codes.at(-1) === 'stop.by-hand') === held.includes('web') ? [] : [`its events say ${codes.join()}`]),
  ];
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

/** No release that brings a system has run on another one. */
export function mixFaults({ ran }: Device, { illSystems, steps }: Scenario): string[] {
  if (illSystems === undefined) return [];
  const brought = new Map<string, string | undefined>();
  for (const step of steps) {
    const manifest = parseManifest(manifestOf(step));
    if (manifest) brought.set(manifest.version, manifest.system?.version);
  }
  return ran.flatMap((line) => {
    const [version = '', system] = line.split(' on ');
    const wanted = brought.get(version) ?? system;
    return wanted === system ? [] : [`${version} ran on the system ${system}; it brings ${wanted}`];
  });
}

/** When nothing moves any more the system that the record names runs, and boots the next time. */
export function slotFaults({ agent, booted }: Device, stateDir: string): string[] {
  const wanted = systemWanted(agent.ledger.load());
  if (booted === undefined || wanted === undefined) return [];
  const next = bootBoard(stateDir, []);
  const isSo = booted.slot === wanted.slot && next.slot === wanted.slot && next.trial === undefined;
  const isNamed = wanted.id === 'shipped' || wanted.id.startsWith(`${booted.system}-`);
  return isSo && isNamed
    ? []
    : [
        `it runs ${booted.system} in ${booted.slot}, next in ${next.slot}; its record names ${wanted.id} in ${wanted.slot}`,
      ];
}
