import { linkOf, type Online } from './agent-view.ts';
import type { AgentConfig } from './config.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { PlanDesk } from './local-api/plan-port.ts';
import type { WishRefused } from './local-api/ports.ts';
import { toServiceSpecs } from './supervisor/from-manifest.ts';
import type { Supervisor } from './supervisor/supervisor.ts';
import { systemClock } from './system-clock.ts';
import type { BlobStore, Log, SystemSlots } from './update/ports.ts';

export interface PlanDeskParts {
  config: Pick<AgentConfig, 'board'>;
  ledger: Pick<PatientLedger, 'load'>;
  blobs: BlobStore;
  supervisor: Pick<Supervisor, 'scene'>;
  /** Of the board; undefined: it has none. */
  slots: Pick<SystemSlots, 'capacity' | 'read'> | undefined;
  online: Online;
  /** Of the agent, Unix ms. */
  startedAt: number;
  log: Log;
}

const JOINING: WishRefused = {
  code: 'no-update',
  refused: 'Cannot plan it: the device is just joining its fleet; try again',
};

/** The `plans` of the local API. What it needs beside the ports is read when somebody asks. */
export function planDesk(parts: PlanDeskParts): PlanDesk {
  const { config, ledger, blobs, supervisor, slots, log } = parts;
  const { platform } = config.board;
  return {
    check: async () => {
      const { offeredTo } = await import('./update/core/check.ts');
      const steered = parts.online.steered;
      const metadata = (await steered?.look()) ?? { state: 'no-server' as const };
      const record = ledger.load();
      const at = systemClock.now();
      const offered = steered
        ? offeredTo(record, steered.facts(record.incoming?.policy ?? {}), {
            now: steered.engine.trustedNow(),
            at,
          })
        : { verdict: 'nothing-offered' as const, why: [] };
      return { ...offered, metadata, link: linkOf(parts) };
    },
    plan: async (folder, signal) => {
      const steered = parts.online.steered;
      if (steered === undefined) return JOINING;
      const { planRelease } = await import('./update/plan-release.ts');
      const { engine, facts, sourceOf, trusted } = steered;
      return planRelease(
        {
          record: () => ledger.load(),
          board: config.board,
          slots,
          blobs,
          sourceOf,
          trusted,
          toServices: (manifest) => {
            const specs = toServiceSpecs(manifest, platform);
            // The manifest was judged for this platform before.
            if (!specs.ok) throw new Error(specs.message);
            return specs.services;
          },
          facts,
          scene: () => supervisor.scene(),
          now: () => engine.trustedNow(),
          log,
        },
        folder,
        signal,
      );
    },
  };
}
