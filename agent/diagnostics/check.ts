import type { AgentConfig } from '../config.ts';
import type { Identity } from '../enrolment/identity.ts';
import type { AgentStatus } from '../local-api/ports.ts';
import type { UpdateRecord } from '../update/core/record.ts';
import type { Finding } from './core/finding.ts';
import type { Host } from './host.ts';
import type { LedgerLook } from './ledger-copy.ts';

/** To anybody but root: no fault of the device. */
export const IDENTITY_CLOSED = 'the identity is open to root only; run as root';

/** Likewise of an agent that lives. */
export const SOCKET_CLOSED = 'the socket of the agent is open to root and the group "wherry" only';

/** What the checks share: read once, before they begin. Nothing in it waits for the network. */
export interface Patient {
  host: Host;
  config: AgentConfig;
  /** Why the agent would not start with its configuration; `config` is then what could be made of it. */
  configFault: string | undefined;
  /** Of agent.json; plugins lie beside it. */
  configFile: string;
  /** Undefined = not enrolled; a string = why it cannot be read. */
  identity: Identity | string | undefined;
  ledger: LedgerLook;
  /** The update record of the ledger, or of the copies beside it. */
  record: UpdateRecord | undefined;
  /** Of the running agent; a string = why it does not answer. */
  agent: AgentStatus | string;
}

export interface CheckRun {
  patient: Patient;
  /** Aborted when the check's time or that of the whole is over. */
  signal: AbortSignal;
  /** Words for people who wait: "3 of 12 blobs". */
  progress(text: string): void;
}

export interface Check {
  name: string;
  limitMs: number;
  /** Rejecting says that it cannot tell, and why. */
  run(run: CheckRun): Finding | Promise<Finding>;
}
