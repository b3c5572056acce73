import type { MetaFile } from '@tufjs/models';
import { LIMITS } from '../../../protocol/limits.ts';
import {
  type Delegator,
  parseRole,
  type RoleName,
  type SignedRole,
  TufError,
  verifyRole,
} from '../../../protocol/tuf.ts';
import type { Log } from '../ports.ts';
import { SourceError } from '../sources/source-error.ts';
import { checkContent, checkFresh, checkNotOlder, checkVersion, isContent } from './checks.ts';
import { type Search, searchTarget } from './delegations.ts';
import type { MetadataSource, TrustedMetadata, TrustedTexts } from './ports.ts';

export interface TufClientOptions {
  source: MetadataSource;
  store: TrustedMetadata;
  log: Log;
  /** Called when the trusted metadata was found lost and the factory root has taken its place. */
  onTrustLost?: () => void;
}

/** What one refresh trusts. */
export interface Trusted {
  root: SignedRole<'root'>;
  snapshot: SignedRole<'snapshot'>;
  targets: SignedRole<'targets'>;
  texts: TrustedTexts;
}

const ROTATED_TOGETHER = ['timestamp', 'snapshot'] as const;

/**
 * The client workflow of TUF 1.0.34 §5, over any source and store. What it trusts is durable before it is used.
 * Throws TufError when metadata cannot be trusted, SourceError when it cannot be had.
 */
export class TufClient {
  readonly #source: MetadataSource;
  readonly #store: TrustedMetadata;
  readonly #log: Log;
  readonly #onTrustLost: () => void;

  constructor({ source, store, log, onTrustLost = () => {} }: TufClientOptions) {
    this.#source = source;
    this.#store = store;
    this.#log = log;
    this.#onTrustLost = onTrustLost;
  }

  /** Brings the top-level roles up to date. `now` is the update's fixed start time (§5.1), Unix milliseconds. */
  async refresh(now: number, signal: AbortSignal): Promise<Trusted> {
    const { texts, origin } = await this.#store.load();
    if (origin === 'factory-after-loss') {
      this.#log.warn({}, 'The trusted metadata was lost; the root of the system image is trusted again');
      // Durable before it is told: told once, however often the refresh fails from here on.
      await this.#store.save(texts);
      this.#onTrustLost();
    }
    const root = await this.#walkRoots(texts, now, signal);
    const timestamp = await this.#timestamp(root, texts, now, signal);
    const snapshot = await this.#snapshot(root, timestamp, texts, now, signal);
    const targets = await this.#targets('targets', root, { root, snapshot, texts }, now, signal);
    return { root, snapshot, targets, texts };
  }

  /** Looks a target up in what a refresh trusts, fetching delegated roles as the search comes by them. §5.6.7 */
  async find(path: string, trusted: Trusted, now: number, signal: AbortSignal): Promise<Search> {
    return searchTarget(path, trusted.targets, (role, delegator) =>
      this.#targets(role, delegator, trusted, now, signal),
    );
  }

  /** Durably keeps floors beside the metadata that set them. */
  async keepFloors(texts: TrustedTexts, floors: Record<string, number>): Promise<void> {
    texts.floors = floors;
    await this.#store.save(texts);
  }

  /** §5.3: from the trusted root, one signed step at a time. */
  async #walkRoots(texts: TrustedTexts, now: number, signal: AbortSignal): Promise<SignedRole<'root'>> {
    let root = parseRole('root', texts.root);
    // §5.2 takes the trusted root as it is. One that does not hold up to itself was changed on the way here.
    verifyRole(root, 'root', root);
    for (let step = 0; step < LIMITS.rootSteps; step++) {
      const version = root.signed.version + 1;
      const content = await this.#readUnlessAbsent(version, signal);
      if (!content) break;
      const next = parseRole('root', content);
      // §5.3.4: a threshold of the old keys and of the new; stops an arbitrary-keys takeover.
      verifyRole(root, 'root', next);
      verifyRole(next, 'root', next);
      // §5.3.5: exactly one step; stops rollback and fast-forward.
      checkVersion('root.json', next.signed.version, version);
      dropRotatedRoles(root, next, texts);
      texts.root = content.toString('utf8');
      await this.#store.save(texts); // §5.3.8
      root = next;
    }
    checkFresh('root', root, now); // §5.3.10
    return root;
  }

  async #timestamp(
    root: SignedRole<'root'>,
    texts: TrustedTexts,
    now: number,
    signal: AbortSignal,
  ): Promise<SignedRole<'timestamp'>> {
    const file = { role: 'timestamp', version: undefined };
    const content = await this.#source.read(file, LIMITS.timestampBytes, signal); // §5.4.1
    const next = parseRole('timestamp', content);
    verifyRole(root, 'timestamp', next); // §5.4.2
    const trusted = stillTrusted(root, 'timestamp', 'timestamp', texts.timestamp);
    // §5.4.3.1 and §5.4.3.2: neither the timestamp nor the snapshot it names may go back.
    checkNotOlder('timestamp.json', next.signed.version, trusted?.signed.version);
    checkNotOlder('snapshot.json', next.signed.snapshotMeta.version, trusted?.signed.snapshotMeta.version);
    // §5.4.3.1: the same version again changes nothing; the one that is trusted stays.
    const kept = trusted?.signed.version === next.signed.version ? trusted : next;
    checkFresh('timestamp', kept, now); // §5.4.4
    if (kept === next) await this.#keep(texts, 'timestamp', content); // §5.4.5
    return kept;
  }

  async #snapshot(
    root: SignedRole<'root'>,
    timestamp: SignedRole<'timestamp'>,
    texts: TrustedTexts,
    now: number,
    signal: AbortSignal,
  ): Promise<SignedRole<'snapshot'>> {
    const meta = timestamp.signed.snapshotMeta;
    const trusted = stillTrusted(root, 'snapshot', 'snapshot', texts.snapshot);
    const content = await this.#load('snapshot', root, { root, texts }, meta, signal);
    const next = parseRole('snapshot', content);
    verifyRole(root, 'snapshot', next); // §5.5.3
    checkVersion('snapshot.json', next.signed.version, meta.version); // §5.5.4
    // §5.5.5: no role named before may go back or go missing.
    for (const [file, before] of Object.entries(trusted?.signed.meta ?? {})) {
      checkNotOlder(file, next.signed.meta[file]?.version ?? 0, before.version);
    }
    checkFresh('snapshot', next, now); // §5.5.6
    await this.#keep(texts, 'snapshot', content); // §5.5.7
    return next;
  }

  /** §5.6, for targets and for each delegated role. */
  async #targets(
    role: string,
    delegator: Delegator,
    trusted: Omit<Trusted, 'targets'>,
    now: number,
    signal: AbortSignal,
  ): Promise<SignedRole<'targets'>> {
    const { meta: files } = trusted.snapshot.signed;
    const meta = Object.hasOwn(files, `${role}.json`) ? files[`${role}.json`] : undefined;
    if (!meta) throw new TufError('malformed', `Cannot read snapshot.json: it does not name ${role}.json`);
    const content = await this.#load(role, delegator, trusted, meta, signal);
    const next = parseRole('targets', content, role);
    verifyRole(delegator, role, next); // §5.6.3
    checkVersion(`${role}.json`, next.signed.version, meta.version); // §5.6.4
    checkFresh(role, next, now); // §5.6.5
    await this.#keep(trusted.texts, role, content); // §5.6.6
    return next;
  }

  /** §5.5.1, §5.6.1: the text at hand when it is the very one named and its keys vouch for it still, else the source's. */
  async #load(
    role: string,
    delegator: Delegator,
    { root, texts }: Pick<Trusted, 'root' | 'texts'>,
    meta: MetaFile,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const kind = role === 'snapshot' ? 'snapshot' : 'targets';
    const held = heldText(texts, role);
    if (held !== undefined && stillTrusted(delegator, kind, role, held)?.signed.version === meta.version) {
      const content = Buffer.from(held);
      if (isContent(meta, content)) return content;
    }
    const cap = Math.min(meta.length ?? Infinity, LIMITS[`${kind}Bytes`]);
    const version = root.signed.consistentSnapshot ? meta.version : undefined;
    const content = await this.#source.read({ role, version }, cap, signal);
    checkContent(`${role}.json`, meta, content); // §5.5.2, §5.6.2
    return content;
  }

  async #keep(texts: TrustedTexts, role: string, content: Buffer): Promise<void> {
    const text = content.toString('utf8');
    if (heldText(texts, role) === text) return;
    if (role === 'timestamp' || role === 'snapshot' || role === 'targets') texts[role] = text;
    else texts.delegated = { ...texts.delegated, [role]: text };
    await this.#store.save(texts);
  }

  async #readUnlessAbsent(version: number, signal: AbortSignal): Promise<Buffer | undefined> {
    try {
      return await this.#source.read({ role: 'root', version }, LIMITS.rootBytes, signal);
    } catch (error) {
      if (error instanceof SourceError && error.code === 'unknown-object') return undefined;
      throw error;
    }
  }
}

function heldText({ delegated = {}, ...texts }: TrustedTexts, role: string): string | undefined {
  if (role === 'timestamp' || role === 'snapshot' || role === 'targets') return texts[role];
  return Object.hasOwn(delegated, role) ? delegated[role] : undefined;
}

/** §5.3.11: after a rotation of their keys the old timestamp and snapshot are no floor (fast-forward recovery). */
function dropRotatedRoles(from: SignedRole<'root'>, to: SignedRole<'root'>, texts: TrustedTexts): void {
  if (ROTATED_TOGETHER.every((role) => keysOf(from, role) === keysOf(to, role))) return;
  texts.timestamp = undefined;
  texts.snapshot = undefined;
}

const keysOf = (root: SignedRole<'root'>, role: RoleName): string =>
  [...(root.signed.roles[role]?.keyIDs ?? [])].sort().join();

/** The text trusted before, as far as the delegator's keys still vouch for it. */
function stillTrusted<R extends RoleName>(
  delegator: Delegator,
  kind: R,
  role: string,
  text: string | undefined,
): SignedRole<R> | undefined {
  if (text === undefined) return undefined;
  try {
    const trusted = parseRole(kind, text, role);
    verifyRole(delegator, role, trusted);
    return trusted;
  } catch (error) {
    if (error instanceof TufError) return undefined;
    throw error;
  }
}
