import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentConfig } from '../config.ts';
import type { LastSeen } from './core/agent-state.ts';
import type { Host } from './host.ts';
import type { LedgerLook } from './ledger-copy.ts';

/** What the agent writes while it lives; none of it by anybody else. */
const TRACES = ['boot.json', 'wear.json', 'trust/trust-a.json', 'trust/trust-b.json'];

/** When an agent that does not answer was last at work, and what its service manager says of it. */
export async function lastSeen(
  host: Host,
  { stateDir }: AgentConfig,
  ledger: Pick<LedgerLook, 'writtenAt'>,
  signal: AbortSignal,
): Promise<LastSeen> {
  const times = TRACES.flatMap((name) => writtenAt(join(stateDir, name)) ?? []);
  const known = [...times, ...(ledger.writtenAt === undefined ? [] : [ledger.writtenAt])];
  return {
    seenAt: known.length === 0 ? undefined : Math.round(Math.max(...known)),
    unit: await unitState(host, signal),
  };
}

/** Undefined also where it may not be looked at. */
function writtenAt(path: string): number | undefined {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}

/** "failed (Result: signal) since Sat 2026-11-21 10:00:00 UTC" */
async function unitState(host: Host, signal: AbortSignal): Promise<string | undefined> {
  const properties = 'LoadState,ActiveState,SubState,Result,StateChangeTimestamp';
  const text = await host
    .run('systemctl', ['show', 'wherry-agent.service', `--property=${properties}`], signal)
    .catch(() => '');
  const told = Object.fromEntries(
    text.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  ) as Record<string, string | undefined>;
  if (told['LoadState'] !== 'loaded') return undefined;
  const result = told['Result'] && told['Result'] !== 'success' ? `, result ${told['Result']}` : '';
  const since = told['StateChangeTimestamp'] ? ` since ${told['StateChangeTimestamp']}` : '';
  return `${told['ActiveState']} (${told['SubState']}${result})${since}`;
}
