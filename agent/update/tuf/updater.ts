import type { ReasonCode } from '../../../protocol/reasons.ts';
import { counterOf, floorsOf, highestFloors, lineOf } from '../../../protocol/release-line.ts';
import { parseRole, type SignedRole, TufError, type TufErrorCode } from '../../../protocol/tuf.ts';
import type { ChunkSource, RefreshVerdict, ReleaseTrust, Standing, TargetVerdict } from '../ports.ts';
import { SourceError } from '../sources/source-error.ts';
import { type Trusted, TufClient, type TufClientOptions } from './client.ts';
import type { FoundTarget, Search } from './delegations.ts';
import { ObjectMetadata } from './object-metadata.ts';

const REFUSALS: Record<TufErrorCode, ReasonCode> = {
  malformed: 'refused.metadata-malformed',
  signature: 'refused.metadata-signature',
  expired: 'refused.metadata-expired',
  rollback: 'refused.metadata-rollback',
  // Content that is not what the signed metadata above it names is not signed content.
  mismatch: 'refused.metadata-signature',
};

/** What the release keys say of a release: the TUF client, and the floor of the release's line. */
export class TufUpdater implements ReleaseTrust {
  readonly #options: Omit<TufClientOptions, 'source'>;

  constructor(options: Omit<TufClientOptions, 'source'>) {
    this.#options = options;
  }

  async targetOf(
    path: string,
    now: number,
    source: ChunkSource,
    signal: AbortSignal,
  ): Promise<TargetVerdict> {
    const client = new TufClient({ ...this.#options, source: new ObjectMetadata(source) });
    try {
      const trusted = await client.refresh(now, signal);
      const search = await client.find(path, trusted, now, signal);
      const floors = await keepFloors(client, trusted, search.outcome === 'found' ? search.chain : []);
      // §5.7: nothing is fetched that the targets do not name.
      const sha256 = search.outcome === 'found' ? search.target.hashes['sha256'] : undefined;
      if (search.outcome !== 'found' || sha256 === undefined) return missing(path, search, trusted.targets);
      const standing = { counter: counterOf(search.target), floor: floors[lineOf(path) ?? ''] ?? 0 };
      return belowFloor(path, standing) ?? { ok: true, sha256, length: search.target.length, standing };
    } catch (error) {
      return refusalFor(error);
    }
  }

  async refresh(now: number, source: ChunkSource, signal: AbortSignal): Promise<RefreshVerdict> {
    const client = new TufClient({ ...this.#options, source: new ObjectMetadata(source) });
    try {
      const { snapshot, texts } = await client.refresh(now, signal);
      const timestamp = parseRole('timestamp', texts.timestamp ?? '');
      const expiries = [snapshot, timestamp].map(({ signed }) => Date.parse(signed.expires));
      return { ok: true, expiresAt: Math.min(...expiries) };
    } catch (error) {
      return refusalFor(error);
    }
  }
}

/** Throws what is no judgement of the metadata. */
function refusalFor(error: unknown): { ok: false; code: ReasonCode; message: string } {
  if (error instanceof TufError) return { ok: false, code: REFUSALS[error.code], message: error.message };
  if (error instanceof SourceError && error.code === 'too-large')
    return { ok: false, code: 'refused.metadata-malformed', message: error.message };
  throw error;
}

/** The floors that hold from now on: those trusted before, targets' and those of the roles that lead to the release. */
async function keepFloors(
  client: TufClient,
  { texts, targets }: Trusted,
  chain: FoundTarget['chain'],
): Promise<Record<string, number>> {
  const before = texts.floors ?? {};
  const named = [{ role: 'targets', metadata: targets }, ...chain].map(({ role, metadata }) =>
    readFloors(role, metadata.signed),
  );
  const floors = highestFloors(before, ...named);
  if (Object.entries(floors).some(([line, floor]) => floor !== (before[line] ?? 0)))
    await client.keepFloors(texts, floors);
  return floors;
}

function missing(path: string, { outcome }: Search, { signed }: SignedRole<'targets'>): TargetVerdict {
  const what =
    outcome === 'given-up'
      ? 'the search through the delegated roles was given up at its limit'
      : `targets.json version ${signed.version} does not name it`;
  return { ok: false, code: 'refused.target-missing', message: `Cannot install ${path}: ${what}` };
}

function readFloors(role: string, signed: Parameters<typeof floorsOf>[0]): Record<string, number> {
  try {
    return floorsOf(signed);
  } catch (cause) {
    throw new TufError('malformed', `Cannot read ${role}.json: ${(cause as Error).message}`, { cause });
  }
}

function belowFloor(path: string, { counter, floor }: Standing): TargetVerdict | undefined {
  if (counter >= floor) return undefined;
  return {
    ok: false,
    code: 'refused.floor',
    message: `Cannot install ${path}: its counter is ${counter}, below the signed floor of ${floor}; deploy a later release`,
  };
}
