import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Hello, Report } from '../protocol/messages.ts';
import type { UpdatePolicy } from '../protocol/update-policy.ts';
import type { AgentConfig } from './config.ts';
import type { Identity } from './enrolment/identity.ts';
import type { PatientLedger } from './ledger/patient-ledger.ts';
import { BulkSession } from './link/bulk-session.ts';
import { tlsDial } from './link/dial.ts';
import { MqttLink } from './link/mqtt-link.ts';
import type { PostMortemQueue } from './link/ports.ts';
import { Reporter } from './link/reporter.ts';
import type { AgentStatus } from './local-api/ports.ts';
import { SpareMemory } from './spare-memory.ts';
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
import { MqttSource } from './update/sources/mqtt-source.ts';
import { SourceChain, type SourceLink } from './update/sources/source-chain.ts';
import { TrustWatch } from './update/trust-watch.ts';
import { TrustedClock } from './update/trusted-clock.ts';
import { StoredMetadata } from './update/tuf/stored-metadata.ts';
import { TrustStore } from './update/tuf/trust-store.ts';
import { TufUpdater } from './update/tuf/updater.ts';
import { AGENT_VERSION, BUILT_AT } from './version.ts';

export interface ConnectedParts {
  config: AgentConfig;
  identity: Identity;
  ledger: PatientLedger;
  blobs: BlobStore;
  workloads: Workloads;
  bootId: string;
  /** What a report says of the services, the device and its channels, now. */
  observed(): Pick<Report, 'services' | 'device' | 'channels'>;
  postMortems: PostMortemQueue;
  onRollback: UpdateEngineOptions['onRollback'];
  /** Who on the device asks not to be disturbed, now. */
  leases(): Lease[];
  agents: UpdateEngineOptions['agents'];
  onAgentSwitch: NonNullable<UpdateEngineOptions['onAgentSwitch']>;
  log: Log;
}

/** The parts of an agent that has an identity: update engine, link and reports. */
export interface Connected {
  engine: UpdateEngine;
  link(): AgentStatus['link'];
  /** What an update's policy is held against, now. */
  facts(policy: UpdatePolicy): SwitchFacts;
  /** Something worth a report happened. */
  changed(): void;
  start(): void;
  stop(): Promise<void>;
}

export function connect(parts: ConnectedParts): Connected {
  const { config, identity, ledger, observed, log } = parts;
  const { mqtt, key, certificate, ca } = identity;
  const dial = tlsDial({ ...mqtt, key, certificate, ca });
  const bulk = new BulkSession({ identity, dial, clock: systemClock });
  let linkState: AgentStatus['link'] = { state: 'connecting', since: systemClock.now() };
  const trusted = new TrustedClock({
    device: identity.device,
    system: systemClock.now,
    monotonic: () => performance.now(),
    isSynchronised: () => observed().device.clock?.state ?? 'unknown',
    fleetKey: () => engine.fleetKey,
  });
  const isOnline = (): boolean => linkState.state === 'connected';
  const facts = factsOf(parts, isOnline);
  const sources = sourcesOf(config, identity, new MqttSource({ channel: bulk }));
  const { store, trust } = openTrust(parts);
  const spare = new SpareMemory(systemClock, globalThis.gc);
  const engine = updateEngine(parts, {
    sources,
    onChange: () => {
      spare.busy();
      reporter.changed();
    },
    facts,
    trustedNow: (floor) => trusted.now(floor),
    freshness: () => watch.freshness,
    trust,
    store,
  });
  const watch = new TrustWatch({
    trust,
    source: sources,
    clock: systemClock,
    now: () => engine.trustedNow(),
    isOnline,
    onStale: ({ message }) => {
      ledger.outbox.add(deviceEvent('agent.trust-stale', message));
      reporter.changed();
    },
    log,
  });
  const link = new MqttLink({
    identity,
    dial,
    outbox: ledger.outbox,
    postMortems: parts.postMortems,
    clock: systemClock,
    log,
    handlers: {
      hello: () => helloOf(parts, engine.generation),
      onDesired: (envelope) => engine.offer(envelope),
      timeRequest: () => trusted.request(),
      onTime: (answer) => takeTime(trusted.answered(answer), engine, log),
      onConnected: () => {
        linkState = { state: 'connected', since: systemClock.now() };
        reporter.connected();
      },
      onLost: (reason) => {
        const since = linkState.state === 'offline' ? linkState.since : systemClock.now();
        linkState = { state: 'offline', since, detail: reason };
      },
    },
  });
  const reporter = new Reporter({
    clock: systemClock,
    snapshot: () => ({ ...progressOf(engine), ...observed() }),
    send: (report) => link.report(report),
    onError: (error) => log.warn({ error }, `Cannot report: ${String(error)}`),
  });
  return {
    engine,
    link: () => linkState,
    facts,
    changed: () => reporter.changed(),
    start: () => {
      link.start();
      reporter.start();
      watch.start();
      spare.busy();
    },
    stop: async () => {
      spare.stop();
      reporter.stop();
      await watch.stop();
      await engine.stop();
      await Promise.all([link.stop(), bulk.stop()]);
    },
  };
}

function factsOf({ leases, config }: ConnectedParts, isOnline: () => boolean): Connected['facts'] {
  const windows = new UpdateWindows();
  return (policy) => ({
    window: windows.state(policy.windows, systemClock.now()),
    leases: leases(),
    power: powerState(),
    link: linkCost(config.metered ?? []),
    isOnline: isOnline(),
  });
}

function takeTime(at: number | undefined, engine: UpdateEngine, log: Log): void {
  if (at !== undefined) engine.timeTold(at);
  else log.warn({}, 'An answer to the question for the time was not the right one and was dropped');
}

const progressOf = (engine: UpdateEngine) => ({
  generation: engine.generation,
  ...(engine.current && { current: engine.current }),
  update: engine.status(),
});

const helloOf = (
  { bootId, config, identity, observed }: ConnectedParts,
  generation: number,
): Omit<Hello, 'v'> => ({
  bootId,
  agentVersion: AGENT_VERSION,
  board: config.board.name,
  platform: identity.platform,
  generation,
  memoryBytes: observed().device.memoryTotalBytes,
  cpus: config.board.cpus,
});

function openTrust({ config, ledger, log }: ConnectedParts): { store: TrustStore; trust: TufUpdater } {
  const folder = join(config.stateDir, 'trust');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const store = new TrustStore({ folder, factoryRoot: config.trustRoot });
  const onTrustLost = (): void => ledger.outbox.add(deviceEvent('agent.trust-lost', TRUST_LOST));
  return { store, trust: new TufUpdater({ store, log, onTrustLost }) };
}

/** Mirrors first: whoever set one up wants to spare the way to the server. */
function sourcesOf({ mirrors = [] }: AgentConfig, identity: Identity, mqtt: MqttSource): SourceChain {
  const { https, ca, key, certificate } = identity;
  const links: SourceLink[] = mirrors.map((place) => ({
    name: place,
    isMirror: true,
    source: place.startsWith('/') ? new FolderSource(place) : new HttpSource({ base: place }),
  }));
  links.push({ name: 'mqtt', source: mqtt });
  if (https) {
    const base = `https://${https.host}:${https.port}/objects`;
    links.push({ name: base, source: new HttpSource({ base, tls: { ca, key, cert: certificate } }) });
  }
  return new SourceChain(links, () => performance.now());
}

/** What a folder holds, then what this device trusts already: it may be newer than the folder. */
const folderSources = (folder: string, store: TrustStore): SourceLink[] => [
  { name: folder, source: new FolderSource(folder) },
  { name: 'trusted', source: new StoredMetadata(store) },
];

type EngineParts = Pick<UpdateEngineOptions, 'onChange' | 'trustedNow' | 'freshness' | 'facts' | 'trust'> & {
  sources: SourceChain;
  store: TrustStore;
};

function updateEngine(
  parts: ConnectedParts,
  { sources, store, trust, onChange, facts, freshness, trustedNow }: EngineParts,
): UpdateEngine {
  const { config, identity, ledger, blobs, workloads, log } = parts;
  return new UpdateEngine({
    identity,
    board: config.board,
    builtAt: BUILT_AT,
    ledger,
    blobs,
    sourceOf: (from) => (from === undefined ? sources : sources.after(folderSources(from, store))),
    trust,
    workloads,
    clock: systemClock,
    trustedNow,
    freshness,
    facts,
    toServices: (manifest, platform) => {
      const specs = toServiceSpecs(manifest, platform);
      // The engine checked the platform before it accepted the manifest.
      if (!specs.ok) throw new Error(specs.message);
      return specs.services;
    },
    onChange,
    onRollback: parts.onRollback,
    agents: parts.agents,
    onAgentSwitch: parts.onAgentSwitch,
    log,
  });
}

const TRUST_LOST =
  'What this device trusted of release metadata cannot be read; it begins again at its factory root';

const deviceEvent = (code: 'agent.trust-lost' | 'agent.trust-stale', message: string) => ({
  kind: 'device' as const,
  code,
  message: message.slice(0, 1024),
  at: systemClock.now(),
});
