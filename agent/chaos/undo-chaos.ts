import { rm } from 'node:fs/promises';
import { bootId, isAlive, signalProcess } from '../supervisor/runtime/process-identity.ts';
import { runProgram } from '../supervisor/runtime/run-program.ts';
import { type Change, type ChaosState, forgetChaos, readChaos } from './chaos-state.ts';

/** Takes back what an experiment changed. May be repeated. */
export async function undoChange(change: Change): Promise<void> {
  switch (change.kind) {
    case 'nothing':
      return;
    case 'file':
      return rm(change.path, { force: true });
    case 'rules':
      // Also where a reboot, or somebody, has taken them away.
      await runProgram('nft', ['add', 'table', 'inet', change.table]);
      await runProgram('nft', ['delete', 'table', 'inet', change.table]);
      return;
    case 'process':
      signalProcess(change.process, bootId(), 'SIGKILL');
  }
}

/**
 * Takes back what an experiment left that nobody is at any more: its process was killed, or the device rebooted. A power
 * cut's note stays for `wherry chaos report`. Resolves with the experiment's name; undefined when there was none.
 */
export async function undoLeftBehind(stateDir: string): Promise<string | undefined> {
  const state = await readChaos(stateDir);
  if (state === undefined || state.experiment === POWER_CUT || isUnderWay(state)) return undefined;
  await undoChange(state.change);
  await forgetChaos(stateDir);
  return state.experiment;
}

export const POWER_CUT = 'power-cut';

const isUnderWay = ({ by }: ChaosState): boolean => isAlive(by, bootId());
