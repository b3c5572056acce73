import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { forgetChaos, readChaos, writeChaos } from '../../chaos/chaos-state.ts';
import { POWER_CUT } from '../../chaos/undo-chaos.ts';
import { bootId, identify } from '../../supervisor/runtime/process-identity.ts';
import type { Call } from '../command.ts';
import { type ChaosCheck, type ChaosReport, notWell } from '../core/chaos.ts';
import { CliError } from '../errors.ts';
import { CHAOS_PLACES } from './experiment.ts';

const LOOK_MS = 500;

/** Reboots at once, without a sync: what is not on the disk by now is lost, as when the power goes. */
export async function cutPower({ io, client, say }: Call, stateDir: string): Promise<void> {
  await client.status();
  const by = identify(process.pid, bootId());
  if (!by) throw new CliError('chaos-failed', 'Cannot cut the power: /proc does not know this process');
  await writeChaos(stateDir, { v: 1, experiment: POWER_CUT, at: io.now(), by, change: { kind: 'nothing' } });
  await say('Cutting the power now. When the board is up again: wherry chaos report');
  const { sysrq, sysrqTrigger } = io.chaos ?? CHAOS_PLACES;
  writeFileSync(sysrq, '1');
  // Documentation/admin-guide/sysrq.rst: b reboots without syncing or unmounting.
  writeFileSync(sysrqTrigger, 'b');
}

/** What became of the power cut. Throws CliError when there was none, or it has not come. */
export async function reportPowerCut(call: Call, stateDir: string, withinMs: number): Promise<ChaosReport> {
  const { client, io } = call;
  const state = await readChaos(stateDir);
  if (state?.experiment !== POWER_CUT)
    throw new CliError('chaos-failed', 'Cannot report: no power cut was made here');
  if (state.by.bootId === bootId())
    throw new CliError(
      'chaos-failed',
      'Cannot report: this is still the boot in which the power was to be cut',
    );
  const checks: ChaosCheck[] = [{ what: 'the board booted', ok: true }];
  const began = performance.now();
  for (;;) {
    const status = await client.status().catch((error: unknown) => {
      if (io.signal.aborted) throw error;
      return undefined;
    });
    const fault = status === undefined ? 'the agent does not answer' : notWell(status);
    const ms = Math.round(performance.now() - began);
    if (status !== undefined && fault === undefined) {
      const { boot } = status.health;
      checks.push({ what: 'the device is whole', ok: true, ms });
      const isKnown = boot?.reason === 'lost-power';
      const detail = `it says ${boot?.reason ?? 'nothing'}`;
      checks.push({
        what: 'the agent knows that the power was lost',
        ok: isKnown,
        ...(!isKnown && { detail }),
      });
      break;
    }
    if (ms >= withinMs) {
      checks.push({
        what: 'the device is whole',
        ok: false,
        ms,
        ...(fault !== undefined && { detail: fault }),
      });
      break;
    }
    await pause(LOOK_MS, undefined, { signal: io.signal });
  }
  await forgetChaos(stateDir);
  const tookMs = Math.round(performance.now() - began);
  return { experiment: POWER_CUT, passed: checks.every(({ ok }) => ok), startedAt: state.at, tookMs, checks };
}
