import { type Finding, fail, ok, together, warn } from './finding.ts';

export interface ProgramFacts {
  name: string;
  /** The Debian package that has it. */
  package: string;
  /** Without it no service starts; else what does not work without it. */
  need: 'always' | string;
  /** First line of what it says of its version; undefined when it is not there. */
  version: string | undefined;
}

export function judgePrograms(programs: readonly ProgramFacts[]): Finding {
  const missing = programs.filter(({ version }) => version === undefined);
  if (missing.length === 0) return ok(programs.map(({ name, version }) => `${name} ${version}`).join(', '));
  return together(
    missing.map(({ name, package: from, need }) =>
      need === 'always'
        ? fail(`${name} is not installed: no service can start`, `apt-get install ${from}`)
        : warn(`${name} is not installed: ${need}`, `apt-get install ${from}`),
    ),
  );
}

/** "crun version 1.8.1" → "1.8.1"; the whole line where it holds no number. */
export const versionIn = (line: string): string => /\d+(?:\.\d+)+[\w.+~-]*/.exec(line)?.[0] ?? line.trim();

export interface LedgerFacts {
  path: string;
  /** Of SQLite's quick_check: "ok", or what is wrong; undefined when there is no file. */
  verdict: string | undefined;
  /** Why a recorded manifest is not the one that it is said to be. */
  contentFault?: string | undefined;
  /** Copies of the release in force outside the database that are whole. */
  wholeCopies: number;
  /** Databases that were put aside as unreadable. */
  setAside: string[];
}

export function judgeLedger({ path, verdict, contentFault, wholeCopies, setAside }: LedgerFacts): Finding {
  const copies = wholeCopies
    ? `the copies beside it are whole (${wholeCopies}): at its next start the agent goes on from them`
    : 'no copy beside it is whole: the device will take its release from the server again';
  if (verdict === undefined)
    return wholeCopies
      ? fail(`${path} is gone; ${copies}`, 'restart the agent; if it goes again, look at the storage')
      : warn(`There is no ledger at ${path}: the agent never ran here`, 'start the agent');
  const damage = verdict === 'ok' ? contentFault : verdict;
  if (damage !== undefined)
    return fail(
      `${path} is damaged: ${damage.slice(0, 300)}; ${copies}`,
      'restart the agent, which puts it aside; look at the storage (see storage, filesystems)',
    );
  if (setAside.length > 0)
    return warn(
      `${path} is sound; a damaged one before it lies in ${setAside.join(', ')}`,
      'look at the storage, then delete what was put aside',
    );
  return ok(`${path} is sound`);
}

export interface ImagesFacts {
  checked: number;
  checkedBytes: number;
  /** Blobs that the releases kept here need. */
  wanted: number;
  damaged: string[];
  missing: string[];
  /** Ran out of time before all were read. */
  isCut: boolean;
}

const AGAIN =
  'look at the storage (see storage, filesystems), then have the device fetch it again: stop the agent, delete the file, ' +
  'start it, and assign the release once more';

export function judgeImages({
  checked,
  checkedBytes,
  wanted,
  damaged,
  missing,
  isCut,
}: ImagesFacts): Finding {
  const findings: Finding[] = [];
  if (damaged.length > 0)
    findings.push(fail(`Damaged: ${damaged.join(', ')}: not the content that was signed`, AGAIN));
  if (missing.length > 0) findings.push(fail(`Missing: ${missing.join(', ')}`, AGAIN));
  const read = `${checked} of ${wanted} blobs read (${Math.round(checkedBytes / 1024 ** 2)} MiB)`;
  const sound = `${read}, ${damaged.length ? 'the others' : 'all'} as signed`;
  findings.push(isCut ? ok(`${read} in the time given; none of the others is known to be bad`) : ok(sound));
  return together(findings);
}
