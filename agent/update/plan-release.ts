// What a release would do to this device. Loaded when somebody asks.
import { type Admission, admit } from '../../protocol/admission.ts';
import type { Board } from '../../protocol/board.ts';
import type { Manifest, Receiver } from '../../protocol/manifest.ts';
import type { PlanAnswer, PlanRefused } from '../local-api/plan-port.ts';
import { agentImageOf } from '../self-update/agent-image.ts';
import { rehearse, type Scene } from '../supervisor/core/rehearse.ts';
import type { ServiceSpec } from '../supervisor/service-spec.ts';
import { systemImageOf } from '../system-slots/system-image.ts';
import { releasesHeld } from './blobs-in-use.ts';
import { DISK_RESERVE_BYTES, shortfallOf } from './core/fetch-plan.ts';
import { isBad } from './core/gate.ts';
import { holdFetch, holdsOfSwitch, type SwitchFacts } from './core/hold.ts';
import { inForce, labelOf, type ReleaseRef, type UpdateRecord } from './core/record.ts';
import { subjectOf } from './core/waiting.ts';
import { parseManifest } from './desired-services.ts';
import { fetchManifest, planFor } from './fetch-release.ts';
import { plannedBlobs, summed } from './planned-blobs.ts';
import type { BlobStore, ChunkSource, Log, SystemSlots } from './ports.ts';
import { readBundle } from './read-bundle.ts';
import { SourceError } from './sources/source-error.ts';
import type { TrustedMetadata, TrustedTexts } from './tuf/ports.ts';
import { TufUpdater } from './tuf/updater.ts';

export interface ReleasePlanParts {
  record(): UpdateRecord;
  board: Board;
  slots: Pick<SystemSlots, 'capacity' | 'read'> | undefined;
  blobs: BlobStore;
  sourceOf(from: string | undefined): ChunkSource;
  /** Read only: a plan trusts nothing durably. */
  trusted: Pick<TrustedMetadata, 'load'>;
  toServices(manifest: Manifest): ServiceSpec[];
  facts(policy: NonNullable<UpdateRecord['incoming']>['policy'] & object): SwitchFacts;
  scene(): Scene;
  /** Trusted time, Unix ms. */
  now(): number;
  log: Log;
}

type Asked = { release: ReleaseRef; from?: string; manifest?: Manifest | undefined };

/** Throws nothing for what is wrong with a release or a source: that is in the answer. */
export async function planRelease(
  parts: ReleasePlanParts,
  folder: string | undefined,
  signal: AbortSignal,
): Promise<PlanAnswer | PlanRefused> {
  try {
    const asked = folder === undefined ? offered(parts) : await fromFolder(folder, parts);
    if ('refused' in asked) return asked;
    if (isBad(parts.record(), asked.release))
      return refused(
        `Cannot plan ${labelOf(asked.release)}: it failed on this device before and is not taken`,
      );
    const found = asked.manifest ?? (await manifestOf(asked, parts, signal));
    return 'refused' in found ? found : await planOf(asked, found, folder, parts, signal);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    return { refused: `Cannot plan it: ${error.message}`, code: 'source-failed' };
  }
}

function offered({ record }: ReleasePlanParts): Asked | PlanRefused {
  const { incoming } = record();
  if (incoming === undefined)
    return { refused: 'Cannot plan it: no release is on its way', code: 'no-update' };
  const { release, from, manifest } = incoming;
  return { release, ...(from !== undefined && { from }), manifest: parseManifest(manifest) };
}

async function fromFolder(folder: string, { record }: ReleasePlanParts): Promise<Asked | PlanRefused> {
  const read = await readBundle(folder);
  if (!read.ok) return refused(read.message.replace(/^Cannot apply/, 'Cannot plan'));
  const generation = record().accepted?.generation ?? 0;
  return { release: { ...read.bundle.release, generation }, from: folder };
}

/** As an update would, but for what it would then trust. */
async function manifestOf(
  { release, from }: Asked,
  parts: ReleasePlanParts,
  signal: AbortSignal,
): Promise<Manifest | PlanRefused> {
  const { board, slots, now, log, trusted } = parts;
  const trust = new TufUpdater({ store: unsaved(trusted), log });
  const source = parts.sourceOf(from);
  const held = () => releasesHeld(parts.record());
  const deps = { source, trust, board, platform: board.platform, slots, now, held, onManifest: () => {} };
  const checked = await fetchManifest(release, deps, signal);
  return checked.ok ? checked.manifest : refused(`${checked.message} [${checked.code}]`);
}

/** What a plan has to trust on its way is forgotten with it. */
function unsaved(stored: Pick<TrustedMetadata, 'load'>): TrustedMetadata {
  let latest: TrustedTexts | undefined;
  return {
    load: async () => (latest ? { texts: latest, origin: 'stored' } : stored.load()),
    save: async (texts) => {
      latest = texts;
    },
  };
}

async function planOf(
  { release, from }: Asked,
  manifest: Manifest,
  folder: string | undefined,
  parts: ReleasePlanParts,
  signal: AbortSignal,
): Promise<PlanAnswer> {
  const { board, scene } = parts;
  const record = parts.record();
  const receiver: Receiver = { platform: board.platform, board: board.name };
  const blobsPlanned = await plannedBlobs(manifest, receiver, parts, parts.sourceOf(from), signal);
  const { name, version, manifest: digest } = release;
  const { steps, services, totalMs } = rehearse(scene(), parts.toServices(manifest));
  const current = inForce(record)?.release;
  return {
    release: { name, version, manifest: digest },
    ...(folder !== undefined && { folder }),
    ...(current && { current }),
    fetch: summed(blobsPlanned),
    admission: admissionOf(manifest, board, record),
    disk: await diskOf(manifest, parts),
    waits: waitsOf(record, release, folder, parts),
    brings: bringsOf(manifest, record, receiver),
    steps,
    services,
    totalMs,
  };
}

const admissionOf = (manifest: Manifest, board: Board, record: UpdateRecord): Admission =>
  admit(manifest, board, releasesHeld(record)[0] ?? {});

async function diskOf(manifest: Manifest, parts: ReleasePlanParts): Promise<PlanAnswer['disk']> {
  const { blobs, board } = parts;
  const plan = await planFor(manifest, { blobs, board, platform: board.platform });
  const freeBytes = await blobs.freeBytes();
  const isNothing = plan.lacking.length === 0;
  const neededBytes = isNothing ? 0 : plan.totalBytes - plan.doneBytes + DISK_RESERVE_BYTES;
  return { freeBytes, neededBytes, fits: isNothing || shortfallOf(plan, freeBytes) === 0 };
}

function waitsOf(
  { incoming }: UpdateRecord,
  release: ReleaseRef,
  folder: string | undefined,
  { facts, now, scene }: ReleasePlanParts,
): PlanAnswer['waits'] {
  const isOffered = folder === undefined && incoming !== undefined;
  // By hand there is nobody to ask and no window; leases count.
  const subject = isOffered
    ? subjectOf(incoming)
    : { policy: {}, acceptedAt: now(), consent: labelOf(release), deferredUntil: undefined };
  const known = facts(subject.policy);
  const fetch = holdFetch(subject, known);
  const holds = holdsOfSwitch(subject, known, { now: now(), at: scene().now });
  return [...(fetch ? [fetch] : []), ...holds];
}

function bringsOf(manifest: Manifest, record: UpdateRecord, receiver: Receiver): PlanAnswer['brings'] {
  const agent = agentImageOf(manifest, receiver.platform)?.id;
  const system = receiver.board === undefined ? undefined : systemImageOf(manifest, receiver.board)?.id;
  return {
    ...(agent !== undefined && agent !== record.agent && { agent }),
    ...(system !== undefined && system !== record.system?.id && { system }),
  };
}

const refused = (message: string): PlanRefused => ({ refused: message, code: 'update-refused' });
