import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../protocol/durable-file.ts';
import type { ProcessIdentity } from '../supervisor/runtime/process-identity.ts';

/** What an experiment has changed of the machine, so that whoever finds it can take it back. */
export type Change =
  | { kind: 'nothing' }
  | { kind: 'file'; path: string }
  | { kind: 'rules'; table: string }
  /** One that is to end. */
  | { kind: 'process'; process: ProcessIdentity };

export interface ChaosState {
  v: 1;
  experiment: string;
  /** Unix ms. */
  at: number;
  /** The process that began it. */
  by: ProcessIdentity;
  change: Change;
}

const fileIn = (stateDir: string): string => join(stateDir, 'chaos.json');

/** Undefined when no experiment is under way or was left behind, or its note cannot be read. */
export async function readChaos(stateDir: string): Promise<ChaosState | undefined> {
  try {
    const state = JSON.parse(await readFile(fileIn(stateDir), 'utf8')) as ChaosState;
    return state.v === 1 ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Durable at return: what is changed after it can be taken back by the next who looks. */
export const writeChaos = (stateDir: string, state: ChaosState): Promise<void> =>
  replaceFile(fileIn(stateDir), `${JSON.stringify(state)}\n`, 0o600);

export const forgetChaos = (stateDir: string): Promise<void> => rm(fileIn(stateDir), { force: true });
