import { UPDATE_PHASES } from '../../protocol/messages.ts';
import type { Cut } from './cuts.ts';
import type { Recording } from './recording.ts';

/** What a file under the state folder is, by its name. */
const ROLES: [RegExp, string][] = [
  [/^ledger\.db-(wal|journal)$/, 'ledger: a commit'],
  [/^ledger\.db$/, 'ledger: its file, at the first start and at the end'],
  [/^release\/[ab]\.json$/, 'copy of the record: its slot'],
  [/^release$/, 'copy of the record: its folder'],
  [/^trust\/trust-[ab]\.json/, 'trusted metadata: its slot'],
  [/^trust$/, 'trusted metadata: its folder'],
  [/^blobs\/[0-9a-f]{64}\.part$/, 'blob: pieces'],
  [/^blobs\/[0-9a-f]{64}\.pieces\.new$/, 'blob: the map of its pieces'],
  [/^blobs$/, 'blob: names, or what was collected'],
  [/^leases\.json/, 'leases: the file'],
  [/^agent\/(trial|current|failed)\.new$/, 'agent: which one is to run'],
  [/^agent$/, 'agent: its folder, or what was collected'],
  [/^board\/disk\.img$/, 'slots: a system, or which one boots'],
  [/^secrets\/[^/]+\.new$/, 'secret: its file'],
  [/^secrets$/, 'secret: the folder'],
  [/^secrets\.key\.new$/, 'key of the secrets'],
  [/^$/, 'names in the state folder: leases, the key of the secrets'],
];

/** As an update goes through them. */
const ORDER: readonly string[] = UPDATE_PHASES;

interface Row {
  phase: string;
  write: string;
  before: Set<string>;
  behind: Set<string>;
}

/** Rows of the table in docs/update-flow.md: what boots when the power goes before and behind each durable write. */
export function tableOf(runs: readonly { recording: Recording; cuts: readonly Cut[] }[]): string {
  const rows = new Map<string, Row>();
  for (const { recording, cuts } of runs) {
    const boots = new Map(cuts.filter(({ isTorn }) => !isTorn).map((cut) => [cut.writes, cut]));
    for (const [index, { path }] of recording.writes.entries()) {
      const [before, behind] = [boots.get(index), boots.get(index + 1)];
      if (!before || !behind) continue;
      const row = rowFor(rows, before.known.record.last.phase, roleOf(path));
      row.before.add(nameOf(before, recording));
      row.behind.add(nameOf(behind, recording, before.known.step));
    }
  }
  const sorted = [...rows.values()].sort(
    (a, b) => ORDER.indexOf(a.phase) - ORDER.indexOf(b.phase) || a.write.localeCompare(b.write, 'en'),
  );
  return [
    '| phase | durable write | cut before it: boots | cut behind it: boots |',
    '|---|---|---|---|',
    ...sorted.map(
      ({ phase, write, before, behind }) => `| ${phase} | ${write} | ${list(before)} | ${list(behind)} |`,
    ),
  ].join('\n');
}

function rowFor(rows: Map<string, Row>, phase: string, write: string): Row {
  const key = `${phase}/${write}`;
  const row = rows.get(key) ?? { phase, write, before: new Set(), behind: new Set() };
  rows.set(key, row);
  return row;
}

function roleOf(path: string): string {
  const role = ROLES.find(([pattern]) => pattern.test(path))?.[1];
  if (role === undefined) throw new Error(`Cannot name ${path} in the table: add it to ROLES`);
  return role;
}

/** Named by what the step that is under way replaces. */
function nameOf({ boots, known }: Cut, { scenario }: Recording, step = known.step): string {
  if (boots === undefined) return 'nothing yet';
  const before = scenario.steps[scenario.steps.indexOf(step) - 1]?.version;
  if (boots === before) return 'the release before';
  return step.hand === 'roll-back' ? 'the one it goes back to' : 'the new release';
}

const list = (names: Set<string>): string => [...names].sort().join(', or ');
