import { join } from 'node:path';
import type { AgentConfig } from '../config.ts';
import { type Identity, loadIdentity } from '../enrolment/identity.ts';
import { ReleaseSlots } from '../ledger/release-slots.ts';
import type { AgentStatus } from '../local-api/ports.ts';
import { IDENTITY_CLOSED, type Patient } from './check.ts';
import type { Host } from './host.ts';
import { lookIntoLedger, unseenLedger } from './ledger-copy.ts';

export interface PatientParts {
  host: Host;
  config: AgentConfig;
  configFile: string;
  configFault: string | undefined;
  /** A string = why it does not answer. */
  agent: AgentStatus | string;
}

/** Reads what the checks share. Never throws for a device that is broken or not this user's to read. */
export async function openPatient(parts: PatientParts): Promise<Patient> {
  const { stateDir } = parts.config;
  const ledger = lookOrNot(join(stateDir, 'ledger.db'));
  return {
    ...parts,
    identity: await identityOf(join(stateDir, 'identity'), parts.host),
    ledger,
    record: ledger.record ?? new ReleaseSlots(join(stateDir, 'release')).load(),
  };
}

async function identityOf(folder: string, host: Host): Promise<Identity | string | undefined> {
  try {
    const found = await loadIdentity(folder);
    // A folder that is not open looks like one that is not there.
    return found === undefined && !host.isRoot ? IDENTITY_CLOSED : found;
  } catch (error) {
    if (!host.isRoot) return IDENTITY_CLOSED;
    return error instanceof Error ? error.message : String(error);
  }
}

/** The copy itself may not be possible: no room for it, or no right to read. */
function lookOrNot(path: string): Patient['ledger'] {
  try {
    return lookIntoLedger(path);
  } catch (error) {
    return unseenLedger(
      path,
      `it cannot be copied: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
