import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type Change, forgetChaos, writeChaos } from '../../chaos/chaos-state.ts';
import { undoChange, undoLeftBehind } from '../../chaos/undo-chaos.ts';
import type { AgentStatus } from '../../local-api/ports.ts';
import { bootId, identify } from '../../supervisor/runtime/process-identity.ts';
import type { Call } from '../command.ts';
import { type ChaosCheck, type ChaosReport, chaosRefusal, notWell, notWhole } from '../core/chaos.ts';
import { CliError } from '../errors.ts';
import { CHAOS_PLACES, type ChaosBench, type Experiment } from './experiment.ts';

const LOOK_MS = 200;

/** What a person asked for. Times in ms. */
export interface ChaosWish {
  service: string | undefined;
  forMs: number;
  withinMs: number;
  saysSo: boolean;
}

/** Throws CliError "not-a-development-board" where nothing is to be broken. */
export function permitChaos({ io }: Call, saysSo: boolean): void {
  const { boardFile, developmentMarker } = io.chaos ?? CHAOS_PLACES;
  const markers = { isBoard: existsSync(boardFile), isDevelopment: existsSync(developmentMarker) };
  const refusal = chaosRefusal(markers, saysSo);
  if (refusal !== undefined)
    throw new CliError('not-a-development-board', `Cannot do chaos here: ${refusal}`);
}

/** Begins, holds and takes back one experiment, then waits for the device to be whole. */
export async function runExperiment(
  name: string,
  experiment: Experiment,
  call: Call,
  stateDir: string,
  wish: ChaosWish,
): Promise<ChaosReport> {
  const left = await undoLeftBehind(stateDir);
  if (left !== undefined) await call.say(`Took back what ${left} had left`);
  const before = await call.client.status();
  const fault = notWell(before);
  if (fault !== undefined)
    throw new CliError('chaos-failed', `Cannot begin ${name}: the device is not well: ${fault}`, [
      'An experiment on a device that is ill tells nothing; see wherry status',
    ]);
  const startedAt = call.io.now();
  const began = performance.now();
  const checks: ChaosCheck[] = [];
  const changed: { change: Change } = { change: { kind: 'nothing' } };
  const bench = benchOf({ name, call, stateDir, before, wish, checks, changed });
  try {
    await experiment(bench);
  } finally {
    await undoChange(changed.change);
    await forgetChaos(stateDir);
  }
  await bench.until('the device is whole again', (status) =>
    notWhole(status, before) === undefined ? true : undefined,
  );
  const tookMs = Math.round(performance.now() - began);
  return { experiment: name, passed: checks.every(({ ok }) => ok), startedAt, tookMs, checks };
}

interface Parts {
  name: string;
  call: Call;
  stateDir: string;
  before: AgentStatus;
  wish: ChaosWish;
  checks: ChaosCheck[];
  changed: { change: Change };
}

function benchOf({ name, call, stateDir, before, wish, checks, changed }: Parts): ChaosBench {
  const { client, io } = call;
  const check = (made: ChaosCheck): void => void checks.push(made);
  const status = () => client.status().catch(unlessAborted(io.signal));
  return {
    call,
    stateDir,
    before,
    check,
    service: wish.service,
    forMs: wish.forMs,
    withinMs: wish.withinMs,
    places: io.chaos ?? CHAOS_PLACES,
    note: async (change) => {
      const by = identify(process.pid, bootId());
      if (!by) throw new CliError('chaos-failed', `Cannot begin ${name}: /proc does not know this process`);
      await writeChaos(stateDir, { v: 1, experiment: name, at: io.now(), by, change });
      // From here on it is taken back, whatever becomes of it.
      changed.change = change;
    },
    until: async (what, met) => {
      const began = performance.now();
      for (let seen: AgentStatus | undefined; ; ) {
        seen = await status();
        const found = seen && met(seen);
        const ms = Math.round(performance.now() - began);
        if (found !== undefined) {
          check({ what, ok: true, ms });
          return found;
        }
        if (ms >= wish.withinMs) {
          const detail = seen === undefined ? 'the agent does not answer' : notWhole(seen, before);
          check({ what, ok: false, ms, ...(detail !== undefined && { detail }) });
          return undefined;
        }
        await pause(LOOK_MS, undefined, { signal: io.signal });
      }
    },
    hold: async (what) => {
      const began = performance.now();
      let detail: string | undefined;
      while (performance.now() - began < wish.forMs && detail === undefined) {
        const seen = await status();
        detail = seen === undefined ? 'the agent does not answer' : servicesNotWhole(seen, before);
        await pause(LOOK_MS, undefined, { signal: io.signal });
      }
      const ms = Math.round(performance.now() - began);
      check({ what, ok: detail === undefined, ms, ...(detail !== undefined && { detail }) });
    },
  };
}

/** A fault of the agent and a link that is down are what such an experiment is about. */
const servicesNotWhole = (now: AgentStatus, before: AgentStatus): string | undefined =>
  notWhole({ ...now, link: before.link, health: before.health }, before);

const unlessAborted =
  (signal: AbortSignal) =>
  (error: unknown): undefined => {
    if (signal.aborted || !(error instanceof CliError)) throw error;
    return undefined;
  };
