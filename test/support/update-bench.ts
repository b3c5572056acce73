import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLedger } from '../../agent/ledger/open-ledger.ts';
import { BulkSession } from '../../agent/link/bulk-session.ts';
import { tcpDial } from '../../agent/link/dial.ts';
import type { DesiredServices } from '../../agent/supervisor/service-spec.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { NOTHING_KNOWN } from '../../agent/update/core/hold.ts';
import { UpdateEngine } from '../../agent/update/engine.ts';
import type { UpdateEngineOptions } from '../../agent/update/engine-options.ts';
import { FakeWorkloads } from '../../agent/update/fake-workloads.ts';
import { FakeSource } from '../../agent/update/sources/fake-source.ts';
import { FolderSource } from '../../agent/update/sources/folder-source.ts';
import { MqttSource } from '../../agent/update/sources/mqtt-source.ts';
import { SourceChain } from '../../agent/update/sources/source-chain.ts';
import { StoredMetadata } from '../../agent/update/tuf/stored-metadata.ts';
import { TrustStore } from '../../agent/update/tuf/trust-store.ts';
import { TufUpdater } from '../../agent/update/tuf/updater.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { ChunkServer, startTestBroker } from './chunk-server.ts';
import { TestRepository } from './test-repository.ts';
import { until } from './until.ts';

const board = {
  name: 'generic-amd64',
  title: 'Generic',
  platform: 'linux/amd64' as const,
  memory: '512MiB',
  cpus: 2,
  reserve: { system: '64MiB', agent: '64MiB' },
};

interface Change {
  now?: () => number;
  facts?: UpdateEngineOptions['facts'];
  /** Between looks at what a release waits for. */
  lookMs?: number;
}

/** One device's update half over a real broker, a real ledger and real files; only the services are fake. */
export async function startUpdateBench() {
  const folder = await mkdtemp(join(tmpdir(), 'wherry-update-'));
  const repository = new TestRepository();
  const broker = await startTestBroker();
  const server = new ChunkServer(broker.broker, repository.objects);
  await mkdir(join(folder, 'trust'));
  await writeFile(join(folder, 'factory-root.json'), repository.factoryRoot);
  // As learned at enrolment, whatever follows it later.
  const enrolledKey = repository.fleetKeyPem;
  const workloads = new FakeWorkloads();
  const mirror = new FakeSource();
  const log: string[] = [];
  const keep = (_fields: object, message: string) => log.push(message);
  const logger = { info: keep, warn: keep };

  /** A new agent over the same folder, as after a crash or a restart. */
  const boot = async (change: Change = {}) => {
    const { facts = () => NOTHING_KNOWN, now = systemClock.now, lookMs = 20 } = change;
    const { ledger } = openLedger(join(folder, 'ledger.db'));
    const blobs = await FolderBlobStore.open(join(folder, 'blobs'));
    const identity = { tenant: 'demo', device: 'boat-1' };
    const dial = tcpDial({ host: '127.0.0.1', port: broker.port });
    const channel = new BulkSession({ identity, dial, clock: systemClock, idleMs: 500 });
    const mqtt = new MqttSource({ channel, times: { answerMs: 300, silences: 4 } });
    const links = [
      { name: 'mirror', source: mirror, isMirror: true },
      { name: 'mqtt', source: mqtt },
    ];
    const source = new SourceChain(links, () => performance.now());
    const store = new TrustStore({
      folder: join(folder, 'trust'),
      factoryRoot: join(folder, 'factory-root.json'),
    });
    let notices = 0;
    const rollbacks: { why: Reason; failed: DesiredServices; unwell: readonly string[] }[] = [];
    const engine = new UpdateEngine({
      identity: { device: 'boat-1', platform: 'linux/amd64', fleetKey: enrolledKey },
      board,
      builtAt: 0,
      ledger,
      blobs,
      sourceOf: (from) =>
        from === undefined
          ? source
          : source.after([
              { name: from, source: new FolderSource(from) },
              { name: 'trusted', source: new StoredMetadata(store) },
            ]),
      trust: new TufUpdater({ store, log: logger }),
      workloads,
      clock: { ...systemClock, now },
      trustedNow: (floor) => Math.max(now(), floor),
      facts,
      toServices: () => [],
      onChange: () => notices++,
      onRollback: (why, failed, unwell) => rollbacks.push({ why, failed, unwell }),
      log: logger,
      times: { healthPollMs: 30, retryMinMs: 30, retryMaxMs: 100, lookMs },
    });
    engine.start();
    const stop = async () => {
      await engine.stop();
      await channel.stop();
      ledger.close();
    };
    const phase = (wanted: string, timeoutMs = 8_000) =>
      until(() => engine.status().phase === wanted, {
        timeoutMs,
        what: `phase ${wanted}; log: ${log.slice(-5).join(' | ')}`,
      });
    return { engine, ledger, blobs, channel, source, stop, phase, rollbacks, notices: () => notices };
  };
  const close = async () => {
    await broker.close();
    await rm(folder, { recursive: true, force: true });
  };
  /** Chunks of the object that the server sent. */
  const served = (object: string) => server.served.filter((chunk) => chunk.startsWith(`${object}#`)).length;
  return { folder, repository, broker, server, served, mirror, workloads, log, boot, close };
}
