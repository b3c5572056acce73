import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Logger, pino, stdSerializers } from 'pino';
import { formatJoinString } from '../protocol/enrolment.ts';
import { loadBoards } from '../release/boards.ts';
import { assemble } from './assemble.ts';
import { readCommandLine } from './command-line.ts';
import type { Closers, FleetServer, FleetServerConfig } from './config.ts';
import { processBuilder } from './deltas/delta-builder.ts';
import { DeltaCache } from './deltas/delta-cache.ts';
import { Deltas } from './deltas/deltas.ts';
import { openDeviceCa } from './enrolment/device-ca.ts';
import { startEnrolmentServer } from './enrolment/https.ts';
import { schedule } from './jobs.ts';
import { openKeys } from './keys/server-keys.ts';
import { listenApp } from './listen.ts';
import { openBroker } from './open-broker.ts';
import { type ObjectStore, openObjectFolder } from './releases/object-store.ts';
import { renewOnlineRoles } from './releases/online-roles.ts';
import { restApp } from './rest/app.ts';
import { ensureAdmin } from './rest/passwords.ts';
import { openSqlite } from './store/sqlite.ts';
import { Egress } from './transport/egress.ts';
import { objectReader } from './transport/object-reader.ts';

export type { FleetServer, FleetServerConfig } from './config.ts';

const OPEN_FILES = 64;
const DELTA_CACHE_BYTES = 8 * 1024 ** 3;

/** Starts everything, or throws having left nothing open. */
export async function startFleetServer(config: FleetServerConfig): Promise<FleetServer> {
  const log = pino({
    name: 'fleet-server',
    level: config.logLevel ?? 'info',
    serializers: { error: stdSerializers.err },
  });
  const closers: Closers = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const { ports, sentBytes } = await open(config, log, closers);
    return { url: `http://${config.host}:${ports.rest}`, ports, sentBytes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  config: FleetServerConfig,
  log: Logger,
  closers: Closers,
): Promise<Pick<FleetServer, 'ports' | 'sentBytes'>> {
  const { dataDir, host } = config;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const db = await openSqlite(join(dataDir, 'fleet.db'));
  closers.push(() => db.destroy());
  const objects = await openObjectFolder(join(dataDir, 'blobs'));
  const keys = await openKeys(join(dataDir, 'keys'));
  const ca = await openDeviceCa(join(dataDir, 'ca'), Date.now);
  await ensureAdmin(db, config.admin);
  await renewOnlineRoles(db, keys, Date.now());

  const names = [...new Set([config.publicHost, 'localhost', '127.0.0.1'])];
  const tls = await ca.serverCertificate(names);
  const fleet = assemble(db, keys, log, closers);
  await fleet.rates.load(db);
  const deltas = await openDeltas(config, objects, log);
  closers.push(() => deltas.close());
  const reader = objectReader({ db, objects, deltas }, OPEN_FILES);
  closers.push(() => reader.close());
  const mayConnect = async (device: string, certificateSha256: string): Promise<boolean> => {
    const row = await db.selectFrom('devices').selectAll().where('id', '=', device).executeTakeFirst();
    return row !== undefined && row.blockedAt === null && row.certificateSha256 === certificateSha256;
  };
  const egress = new Egress(
    {
      bytesPerSecond: config.egressBytesPerSecond,
      deviceBytesPerSecond: config.egressDeviceBytesPerSecond,
      rateOf: (device) => fleet.rates.of(device),
    },
    () => performance.now(),
    async (ms) => pause(ms),
  );
  const broker = await openBroker({ config, log, ca, tls, fleet, reader, egress, mayConnect, closers });
  const enrolment = await startEnrolmentServer({
    db,
    ca,
    fleetKey: () => keys.fleet.publicPem(),
    mqtt: { host: config.publicHost, port: broker.port },
    now: Date.now,
    host,
    port: config.devicePort,
    tls,
    objects: { reader, egress: (who, bytes) => egress.take(who, bytes), mayRead: mayConnect },
    log,
  });
  closers.push(() => enrolment.close());
  const app = await restApp({
    ...fleet,
    deltas,
    publish: { db, objects, keys, now: Date.now, loadBoards: () => loadBoards(config.boardsDir) },
    feed: fleet.stream,
    objects: { reader, egress: (who, bytes) => egress.take(who, bytes) },
    sendDesired: (device) => fleet.desired.send(device),
    rotateFleetKey: async () => {
      await keys.fleet.rotate(Date.now());
      await fleet.desired.sendAll();
    },
    joinString: (token) =>
      formatJoinString({ host: config.publicHost, port: enrolment.port, caSha256: ca.sha256, token }),
    webDir: config.webDir,
    now: Date.now,
    log,
  });
  const rest = await listenApp(app, host, config.port);
  closers.push(() => app.close());
  const failed = (error: unknown) => log.error({ error }, 'a scheduled job failed');
  const renewCertificate = async () => {
    const renewed = await ca.serverCertificate(names);
    broker.useCertificate(renewed);
    enrolment.useCertificate(renewed);
  };
  closers.push(
    schedule('0 17 * * * *', () => renewOnlineRoles(db, keys, Date.now()), failed),
    schedule('0 27 * * * *', () => fleet.metrics.purge(Date.now()), failed),
    schedule('0 37 * * * *', () => fleet.auth.purge(), failed),
    schedule('0 47 3 * * *', renewCertificate, failed),
  );
  return {
    ports: { rest, device: enrolment.port, mqtt: broker.port },
    sentBytes: () => egress.sentBytes,
  };
}

async function openDeltas(config: FleetServerConfig, objects: ObjectStore, log: Logger): Promise<Deltas> {
  const cache = await DeltaCache.open(
    join(config.dataDir, 'deltas'),
    config.deltaCacheBytes ?? DELTA_CACHE_BYTES,
  );
  return new Deltas({ cache, builder: processBuilder, objects, now: Date.now, log });
}

async function run(): Promise<void> {
  const server = await startFleetServer(await readCommandLine(process.argv.slice(2)));
  process.stderr.write(`Fleet server at ${server.url}\n`);
  const stop = (): void => {
    server.close().then(
      () => process.exit(0),
      (error: Error) => {
        process.stderr.write(`Cannot stop cleanly: ${error.message}\n`);
        process.exit(1);
      },
    );
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  // A parent that opened an IPC channel and is gone cannot send a signal any more.
  process.once('disconnect', stop);
}

if (import.meta.main) {
  run().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
}
