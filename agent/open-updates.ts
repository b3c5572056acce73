import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { sha256Hex } from '../protocol/canonical.ts';
import type { UpdatePolicy } from '../protocol/update-policy.ts';
import type { AgentConfig } from './config.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import type { UpdateCheckAnswer } from './local-api/plan-port.ts';
import { toServiceSpecs } from './supervisor/from-manifest.ts';
import { systemClock } from './system-clock.ts';
import type { Lease, SwitchFacts } from './update/core/hold.ts';
import { UpdateEngine } from './update/engine.ts';
import type { UpdateEngineOptions } from './update/engine-options.ts';
import { linkCost } from './update/facts/link-cost.ts';
import { powerState } from './update/facts/power-supply.ts';
import { UpdateWindows } from './update/facts/update-windows.ts';
import type { BlobStore, Log, Workloads } from './update/ports.ts';
import { FolderSource } from './update/sources/folder-source.ts';
import { HttpSource } from './update/sources/http-source.ts';
import type { SourceChain, SourceLink } from './update/sources/source-chain.ts';
import { StoredMetadata } from './update/tuf/stored-metadata.ts';
import { TrustStore } from './update/tuf/trust-store.ts';
import { TufUpdater } from './update/tuf/updater.ts';
import { BUILT_AT } from './version.ts';

/** What the update engine is made of, whether the device is in a fleet or not. */
export interface UpdateParts {
  config: AgentConfig;
  ledger: PatientLedger;
  blobs: BlobStore;
  workloads: Workloads;
  onRollback: UpdateEngineOptions['onRollback'];
  /** Who on the device asks not to be disturbed, now. */
  leases(): Lease[];
  agents: UpdateEngineOptions['agents'];
  onAgentSwitch: NonNullable<UpdateEngineOptions['onAgentSwitch']>;
  system: UpdateEngineOptions['system'];
  log: Log;
}

/** What differs. */
type UpdatePlace = Pick<UpdateEngineOptions, 'identity' | 'onChange' | 'trustedNow' | 'freshness'> & {
  sources: SourceChain;
  isOnline(): boolean;
};

/** The root metadata by which this device tells releases of its signer from others. */
export type RootOfTrust = { ok: true; version: number; sha256: string } | { ok: false; message: string };

/** What is steered by hand. */
export interface Steered {
  engine: UpdateEngine;
  /** What an update's policy is held against, now. */
  facts(policy: UpdatePolicy): SwitchFacts;
  root(): Promise<RootOfTrust>;
  /** Where a release comes from; with a folder, from there as far as it goes. */
  sourceOf: UpdateEngineOptions['sourceOf'];
  trusted: TrustStore;
  /** Asks the server now for the newest signed metadata. */
  look(): Promise<UpdateCheckAnswer['metadata']>;
}

export function openUpdates(
  parts: UpdateParts,
  { sources, isOnline, ...place }: UpdatePlace,
): Omit<Steered, 'look'> & { trust: TufUpdater } {
  const { config, log } = parts;
  const { store, trust } = openTrust(parts);
  const facts = factsOf(parts, isOnline);
  const sourceOf: UpdateEngineOptions['sourceOf'] = (from) =>
    from === undefined ? sources : sources.after(folderSources(from, store));
  const engine = new UpdateEngine({
    ...parts,
    ...place,
    board: config.board,
    builtAt: BUILT_AT,
    sourceOf,
    trust,
    clock: systemClock,
    facts,
    toServices: (manifest, platform) => {
      const specs = toServiceSpecs(manifest, platform);
      // The engine checked the platform before it accepted the manifest.
      if (!specs.ok) throw new Error(specs.message);
      return specs.services;
    },
    log,
  });
  return { engine, facts, root: () => rootOf(store, config), sourceOf, trusted: store, trust };
}

function factsOf({ leases, config }: UpdateParts, isOnline: () => boolean): Steered['facts'] {
  const windows = new UpdateWindows();
  return (policy) => ({
    window: windows.state(policy.windows, systemClock.now()),
    leases: leases(),
    power: powerState(),
    link: linkCost(config.metered ?? []),
    isOnline: isOnline(),
  });
}

function openTrust({ config, ledger, log }: UpdateParts): { store: TrustStore; trust: TufUpdater } {
  const folder = join(config.stateDir, 'trust');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const store = new TrustStore({ folder, factoryRoot: config.trustRoot });
  const onTrustLost = (): void => ledger.outbox.add(deviceEvent('agent.trust-lost', TRUST_LOST));
  return { store, trust: new TufUpdater({ store, log, onTrustLost }) };
}

async function rootOf(store: TrustStore, { trustRoot }: AgentConfig): Promise<RootOfTrust> {
  try {
    const { root } = (await store.load()).texts;
    const { signed } = JSON.parse(root) as { signed: { version: number } };
    return { ok: true, version: signed.version, sha256: sha256Hex(root) };
  } catch {
    const message = `this device has no root of trust: ${trustRoot} is missing or is no root metadata; put the signer's root.json there`;
    return { ok: false, message };
  }
}

/** Asked first: whoever set a mirror up wants to spare the way to the server. */
export const mirrorsOf = ({ mirrors = [] }: AgentConfig): SourceLink[] =>
  mirrors.map((place) => ({
    name: place,
    isMirror: true,
    source: place.startsWith('/') ? new FolderSource(place) : new HttpSource({ base: place }),
  }));

/** What a folder holds, then what this device trusts already: it may be newer than the folder. */
const folderSources = (folder: string, store: TrustStore): SourceLink[] => [
  { name: folder, source: new FolderSource(folder) },
  { name: 'trusted', source: new StoredMetadata(store) },
];

const TRUST_LOST =
  'What this device trusted of release metadata cannot be read; it begins again at its factory root';

export const deviceEvent = (code: 'agent.trust-lost' | 'agent.trust-stale', message: string) => ({
  kind: 'device' as const,
  code,
  message: message.slice(0, 1024),
  at: systemClock.now(),
});
