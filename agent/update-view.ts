import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { LeaseDesk, Updates, WishOutcome, WishRefused } from './local-api/ports.ts';
import type { Steered } from './open-updates.ts';
import type { Clock } from './supervisor/ports.ts';
import { NOTHING_KNOWN, type SwitchFacts } from './update/core/hold.ts';
import { outlookOf, overdueOf } from './update/core/outlook.ts';
import { isBelowFloor, labelOf, type UpdateRecord } from './update/core/record.ts';
import { isUnderWay } from './update/core/transition.ts';
import type { UpdateEngine } from './update/engine.ts';
import type { UpdateWish } from './update/engine-options.ts';

type Engine = Pick<UpdateEngine, 'status' | 'apply' | 'consent' | 'defer' | 'rollBack'>;

export interface UpdateViewParts {
  online: { steered: (Pick<Steered, 'facts' | 'root'> & { engine: Engine }) | undefined };
  ledger: Pick<PatientLedger, 'load' | 'history'>;
  leases: Pick<LeaseDesk, 'list'>;
  clock: Pick<Clock, 'now'>;
  /** Unix ms. */
  startedAt: number;
}

/** The `updates` of the local API. */
export function updateView({ online, ledger, leases, clock, startedAt }: UpdateViewParts): Updates {
  const facts = (record: UpdateRecord): SwitchFacts =>
    online.steered?.facts(record.incoming?.policy ?? {}) ?? NOTHING_KNOWN;
  const status = () => online.steered?.engine.status() ?? { phase: 'idle' as const, since: startedAt };
  return {
    outlook: () => {
      const record = ledger.load();
      return { ...outlookOf(record, status(), facts(record)), leases: leases.list() };
    },
    history: () => ledger.history().map(({ kind: _kind, service: _service, ...event }) => event),
    apply: async (folder, by) => {
      const { steered } = online;
      if (steered === undefined) return JOINING;
      const root = await steered.root();
      if (!root.ok) return mayNot(`apply ${folder}: ${root.message}`);
      const taken = await steered.engine.apply(folder, by);
      if (!taken.ok) return { code: 'update-refused', refused: taken.message };
      const { version, sha256 } = root;
      return { wish: 'apply', result: taken.result, release: taken.release, root: { version, sha256 } };
    },
    consent: (by) => {
      const { incoming, phase } = ledger.load();
      const refused = notOnItsWay('agree', incoming?.release, phase);
      if (refused || !incoming) return refused ?? JOINING;
      return granted('consent', labelOf(incoming.release), online.steered?.engine.consent(by));
    },
    defer: (forMs, by) => {
      const { incoming, phase } = ledger.load();
      const refused = notOnItsWay('put it off', incoming?.release, phase);
      if (refused || !incoming) return refused ?? JOINING;
      const { policy = {}, release, acceptedAt } = incoming;
      const overdueAt = overdueOf(policy, acceptedAt) ?? Number.POSITIVE_INFINITY;
      const now = clock.now();
      if (policy.urgent) return mayNot(`put ${labelOf(release)} off: ${policy.urgent.by} made it urgent`);
      if (overdueAt <= now)
        return mayNot(`put ${labelOf(release)} off: it has waited as long as its policy allows`);
      const until = Math.min(now + forMs, overdueAt);
      const wish = online.steered?.engine.defer(until, by);
      const outcome = granted('defer', labelOf(release), wish);
      return 'refused' in outcome ? outcome : { ...outcome, until };
    },
    rollBack: (by) => {
      const record = ledger.load();
      const { incoming, phase, current, previous } = record;
      if (incoming)
        return mayNot(`roll back: ${labelOf(incoming.release)} is on its way (${phase}); put it off instead`);
      if (isUnderWay(record)) return mayNot('roll back: a rollback is under way already');
      if (!current || !previous)
        return { code: 'no-update', refused: 'Cannot roll back: this device holds no release from before' };
      if (isBelowFloor(record, previous))
        return mayNot(
          `roll back: ${labelOf(previous.release)} is below the floor that the release keys have set`,
        );
      return granted('rollback', labelOf(previous.release), online.steered?.engine.rollBack(by));
    },
  };
}

const JOINING: WishRefused = {
  code: 'no-update',
  refused: 'Cannot steer updates: the device is just joining its fleet; try again',
};

const mayNot = (what: string): WishRefused => ({ code: 'update-refused', refused: `Cannot ${what}` });

function notOnItsWay(
  act: string,
  release: Parameters<typeof labelOf>[0] | undefined,
  phase: string,
): WishRefused | undefined {
  if (!release) return { code: 'no-update', refused: `Cannot ${act}: no release is on its way` };
  if (phase !== 'switching' && phase !== 'soaking') return undefined;
  return mayNot(`${act}: ${labelOf(release)} has taken over already (${phase})`);
}

function granted(
  wish: 'consent' | 'defer' | 'rollback',
  release: string,
  became: UpdateWish | undefined,
): WishOutcome {
  if (became === undefined) return JOINING;
  if (became === 'nothing-to-do')
    return mayNot(`do that to ${release}: it moved on at this moment; look at its status`);
  return { wish, result: became, release };
}
