import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { BulkSession } from '../../agent/link/bulk-session.ts';
import { tlsDial } from '../../agent/link/dial.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { NOTHING_KNOWN } from '../../agent/update/core/hold.ts';
import { UpdateEngine } from '../../agent/update/engine.ts';
import { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import type { ChunkSource } from '../../agent/update/ports.ts';
import { FolderSource } from '../../agent/update/sources/folder-source.ts';
import { HttpSource } from '../../agent/update/sources/http-source.ts';
import { MqttSource } from '../../agent/update/sources/mqtt-source.ts';
import { SourceChain, type SourceLink } from '../../agent/update/sources/source-chain.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { TestDevice, TestFleet } from './fleet-server.ts';
import { until } from './until.ts';

const board = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64' as const,
  memory: '512MiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};

/** Chunks that a source delivered, by object; what it was asked for in vain does not count. */
export class CountedSource implements ChunkSource {
  readonly taken: string[] = [];
  readonly #source: ChunkSource;
  /** Awaited before a chunk is handed on. */
  beforeChunk: (taken: number) => Promise<void> = async () => {};

  constructor(source: ChunkSource) {
    this.#source = source;
  }

  read(object: string, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#source.read(object, maxBytes, signal);
  }

  fetch(...[object, chunks, onChunk, signal]: Parameters<ChunkSource['fetch']>): Promise<void> {
    const take = async (index: number, payload: Buffer) => {
      this.taken.push(`${object}#${index}`);
      // A payload lasts no longer than the call.
      const kept = Buffer.from(payload);
      await this.beforeChunk(this.taken.length);
      await onChunk(index, kept);
    };
    return this.#source.fetch(object, chunks, take, signal);
  }

  of(object: string): number {
    return this.taken.filter((chunk) => chunk.startsWith(`${object}#`)).length;
  }
}

export interface Wires {
  mqtt: FaultProxy;
  https: FaultProxy;
}

export async function wiresTo({ server: { ports } }: TestFleet, seed: number): Promise<Wires> {
  return { mqtt: await FaultProxy.to(ports.mqtt, seed), https: await FaultProxy.to(ports.device, seed + 1) };
}

/** The update half of an enrolled device, its sources over wires that can be hurt; only its services are fake. */
export class WiredDevice {
  readonly folder: string;
  readonly device: TestDevice;
  readonly #wires: Wires;
  readonly #enrolled: { trustRoot: string };
  readonly log: string[] = [];

  private constructor(folder: string, device: TestDevice, wires: Wires, trustRoot: string) {
    this.folder = folder;
    this.device = device;
    this.#wires = wires;
    this.#enrolled = { trustRoot };
  }

  static async enrol(fleet: TestFleet, name: string, wires: Wires, rootText: string): Promise<WiredDevice> {
    const folder = await mkdtemp(join(tmpdir(), 'wherry-wired-'));
    const trustRoot = join(folder, 'factory-root.json');
    await writeFile(trustRoot, rootText);
    await mkdir(join(folder, 'trust'));
    return new WiredDevice(folder, await fleet.device(name), wires, trustRoot);
  }

  /** The release's assignment, as the control session brings it. */
  async assigned(releaseId: string): Promise<unknown> {
    const { device } = this;
    const control = await device.connect('control');
    await device.hello(control);
    await device.fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
    // Told to run nothing first, when it said hello before the rollout.
    const envelope = await until(
      async () => {
        const said = JSON.parse((await device.next('desired')).toString()) as { payload?: string };
        return said.payload?.includes('"release"') && said;
      },
      { what: 'an assignment' },
    );
    await control.endAsync(true);
    return envelope;
  }

  sources({ answerMs = 1_000, silences = 3 } = {}) {
    const { device, tenant, ca, certificate } = this.device.identity;
    const { key } = this.device;
    const dial = tlsDial({ host: '127.0.0.1', port: this.#wires.mqtt.port, key, certificate, ca });
    const channel = new BulkSession({ identity: { device, tenant }, dial, clock: systemClock, idleMs: 500 });
    const base = `https://127.0.0.1:${this.#wires.https.port}/objects`;
    const mqtt = new CountedSource(new MqttSource({ channel, times: { answerMs, silences } }));
    const silenceMs = answerMs * silences;
    const https = new CountedSource(new HttpSource({ base, tls: { ca, key, cert: certificate }, silenceMs }));
    return { channel, mqtt, https };
  }

  /** A new agent over the same folder, as after a crash or a restart. `folder`: a mirror, asked last. */
  async boot(
    options: {
      folder?: string;
      over?: ('mqtt' | 'https')[];
      times?: { answerMs: number; silences: number };
    } = {},
  ) {
    const { over = ['mqtt', 'https'] } = options;
    const { ledger } = openLedger(join(this.folder, 'ledger.db'));
    const blobs = await FolderBlobStore.open(join(this.folder, 'blobs'));
    const { channel, ...sources } = this.sources(options.times);
    const folder = new CountedSource(new FolderSource(options.folder ?? join(this.folder, 'none')));
    const links: SourceLink[] = over.map((name) => ({ name, source: sources[name] }));
    if (options.folder) links.push({ name: 'folder', source: folder, isMirror: true });
    const log = (_fields: object, message: string) => void this.log.push(message);
    const store = new TrustStore({
      folder: join(this.folder, 'trust'),
      factoryRoot: this.#enrolled.trustRoot,
    });
    const { fleetKey } = this.device.identity;
    const chain = new SourceChain(links, () => performance.now());
    const engine = new UpdateEngine({
      identity: { device: this.device.id, platform: 'linux/amd64', fleetKey },
      board,
      builtAt: 0,
      ledger,
      blobs,
      sourceOf: () => chain,
      trust: new TufUpdater({ store, log: { info: log, warn: log } }),
      workloads: new FakeWorkloads(),
      clock: systemClock,
      trustedNow: (floor) => Math.max(Date.now(), floor),
      facts: () => NOTHING_KNOWN,
      toServices: () => [],
      onChange: () => {},
      onRollback: () => {},
      log: { info: log, warn: log },
      times: { healthPollMs: 50, retryMinMs: 50, retryMaxMs: 400 },
    });
    engine.start();
    const stop = async () => {
      await engine.stop();
      await channel.stop();
      ledger.close();
    };
    const done = () => engine.status().progress?.doneBytes ?? 0;
    const committed = () =>
      until(() => engine.status().phase === 'committed', {
        timeoutMs: 50_000,
        what: `${this.device.id} to commit; it is ${JSON.stringify(engine.status())}`,
      }).catch((error: Error) => {
        throw new Error(
          `${error.message}; now ${JSON.stringify(engine.status())}; ${this.log.slice(-6).join(' | ')}`,
        );
      });
    return { engine, blobs, ...sources, folder, stop, done, committed };
  }

  async remove(): Promise<void> {
    await this.device.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
