import type { MetaFile } from '@tufjs/models';
import { LIMITS } from '../../../protocol/limits.ts';
import { metadataObject, TIMESTAMP_OBJECT } from '../../../protocol/objects.ts';
import type { ReasonCode } from '../../../protocol/reasons.ts';
import {
  parseRole,
  type RoleName,
  type SignedRole,
  TufError,
  type TufErrorCode,
  verifyRole,
} from '../../../protocol/tuf.ts';
import type { ChunkSource, Log, ReleaseTrust, TargetVerdict } from '../ports.ts';
import { SourceError } from '../sources/source-error.ts';
import { checkContent, checkFresh, checkNotOlder, checkVersion, isContent } from './checks.ts';
import type { TrustedTexts, TrustStore } from './trust-store.ts';

const REFUSALS: Record<TufErrorCode, ReasonCode> = {
  malformed: 'refused.metadata-malformed',
  signature: 'refused.metadata-signature',
  expired: 'refused.metadata-expired',
  rollback: 'refused.metadata-rollback',
  // Content that is not what the signed metadata above it names is not signed content.
  mismatch: 'refused.metadata-signature',
};

const ROOT_ROLES = ['timestamp', 'snapshot'] as const;

/** The client workflow of TUF 1.0.34 §5, over any source. What it trusts is durable before it is used. */
export class TufUpdater implements ReleaseTrust {
  readonly #source: ChunkSource;
  readonly #store: TrustStore;
  readonly #log: Log;

  constructor({ source, store, log }: { source: ChunkSource; store: TrustStore; log: Log }) {
    this.#source = source;
    this.#store = store;
    this.#log = log;
  }

  async targetOf(path: string, now: number, signal: AbortSignal): Promise<TargetVerdict> {
    try {
      const targets = await this.#refresh(now, signal);
      // §5.7: nothing is fetched that the targets do not name.
      const target = targets.signed.targets[path];
      const sha256 = target?.hashes['sha256'];
      if (!target || sha256 === undefined)
        return {
          ok: false,
          code: 'refused.target-missing',
          message: `Cannot install ${path}: targets.json version ${targets.signed.version} does not name it`,
        };
      return { ok: true, sha256, length: target.length };
    } catch (error) {
      if (error instanceof TufError) return { ok: false, code: REFUSALS[error.code], message: error.message };
      if (error instanceof SourceError && error.code === 'too-large')
        return { ok: false, code: 'refused.metadata-malformed', message: error.message };
      throw error;
    }
  }

  async #refresh(now: number, signal: AbortSignal): Promise<SignedRole<'targets'>> {
    const { texts, origin } = await this.#store.load();
    if (origin === 'factory-after-loss')
      this.#log.warn({}, 'The trusted metadata was lost; the root of the system image is trusted again');
    const root = await this.#walkRoots(texts, now, signal);
    const timestamp = await this.#timestamp(root, texts, now, signal);
    const snapshot = await this.#snapshot(root, timestamp, texts, now, signal);
    return this.#targets(root, snapshot, texts, now, signal);
  }

  /** §5.3: from the trusted root, one signed step at a time. */
  async #walkRoots(texts: TrustedTexts, now: number, signal: AbortSignal): Promise<SignedRole<'root'>> {
    let root = parseRole('root', texts.root);
    for (let step = 0; step < LIMITS.rootSteps; step++) {
      const version = root.signed.version + 1;
      const content = await this.#readUnlessAbsent(metadataObject('root', version), signal);
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
    const content = await this.#source.read(TIMESTAMP_OBJECT, LIMITS.timestampBytes, signal); // §5.4.1
    const next = parseRole('timestamp', content);
    verifyRole(root, 'timestamp', next); // §5.4.2
    const trusted = stillTrusted(root, 'timestamp', texts.timestamp);
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
    const trusted = stillTrusted(root, 'snapshot', texts.snapshot);
    const content = await this.#load(root, 'snapshot', meta, texts, signal);
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

  async #targets(
    root: SignedRole<'root'>,
    snapshot: SignedRole<'snapshot'>,
    texts: TrustedTexts,
    now: number,
    signal: AbortSignal,
  ): Promise<SignedRole<'targets'>> {
    const meta = snapshot.signed.meta['targets.json'];
    if (!meta) throw new TufError('malformed', 'Cannot read snapshot.json: it does not name targets.json');
    const content = await this.#load(root, 'targets', meta, texts, signal);
    const next = parseRole('targets', content);
    verifyRole(root, 'targets', next); // §5.6.3
    checkVersion('targets.json', next.signed.version, meta.version); // §5.6.4
    checkFresh('targets', next, now); // §5.6.5
    await this.#keep(texts, 'targets', content); // §5.6.6
    return next;
  }

  /** §5.5.1, §5.6.1: the text at hand when it is the very one named and today's keys vouch for it, else the source's. */
  async #load(
    root: SignedRole<'root'>,
    role: 'snapshot' | 'targets',
    meta: MetaFile,
    { [role]: held }: TrustedTexts,
    signal: AbortSignal,
  ): Promise<Buffer> {
    if (held !== undefined && stillTrusted(root, role, held)?.signed.version === meta.version) {
      const content = Buffer.from(held);
      if (isContent(meta, content)) return content;
    }
    const cap = Math.min(meta.length ?? Infinity, LIMITS[`${role}Bytes`]);
    const content = await this.#source.read(metadataObject(role, meta.version), cap, signal);
    checkContent(`${role}.json`, meta, content); // §5.5.2, §5.6.2
    return content;
  }

  async #keep(
    texts: TrustedTexts,
    role: 'timestamp' | 'snapshot' | 'targets',
    content: Buffer,
  ): Promise<void> {
    const text = content.toString('utf8');
    if (texts[role] === text) return;
    texts[role] = text;
    await this.#store.save(texts);
  }

  async #readUnlessAbsent(object: string, signal: AbortSignal): Promise<Buffer | undefined> {
    try {
      return await this.#source.read(object, LIMITS.rootBytes, signal);
    } catch (error) {
      if (error instanceof SourceError && error.code === 'unknown-object') return undefined;
      throw error;
    }
  }
}

/** §5.3.11: after a rotation of their keys the old timestamp and snapshot are no floor (fast-forward recovery). */
function dropRotatedRoles(from: SignedRole<'root'>, to: SignedRole<'root'>, texts: TrustedTexts): void {
  if (ROOT_ROLES.every((role) => keysOf(from, role) === keysOf(to, role))) return;
  texts.timestamp = undefined;
  texts.snapshot = undefined;
}

const keysOf = (root: SignedRole<'root'>, role: RoleName): string =>
  [...(root.signed.roles[role]?.keyIDs ?? [])].sort().join();

/** The text trusted before, as far as today's root keys still vouch for it. */
function stillTrusted<R extends RoleName>(
  root: SignedRole<'root'>,
  role: R,
  text: string | undefined,
): SignedRole<R> | undefined {
  if (text === undefined) return undefined;
  try {
    const trusted = parseRole(role, text);
    verifyRole(root, role, trusted);
    return trusted;
  } catch (error) {
    if (error instanceof TufError) return undefined;
    throw error;
  }
}
