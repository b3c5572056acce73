import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Logger, pino, stdSerializers } from 'pino';
import { formatJoinString } from '../protocol/enrolment.ts';
import { loadBoards } from '../release/boards.ts';
import { type Broker, startMqttBroker } from './broker/broker.ts';
import { readCommandLine } from './command-line.ts';
import { type FleetServer, type FleetServerConfig, TENANT } from './config.ts';
import { processBuilder } from './deltas/delta-builder.ts';
import { DeltaCache } from './deltas/delta-cache.ts';
import { Deltas } from './deltas/deltas.ts';
import { Desired } from './devices/desired.ts';
import { Inbox } from './devices/inbox.ts';
import { MetricLog } from './devices/metrics.ts';
import { Pins } from './devices/pins.ts';
import { PostMortemStore } from './devices/post-mortems.ts';
import { Presence } from './devices/presence.ts';
import { DeviceViews } from './devices/view.ts';
import { type DeviceCa, openDeviceCa } from './enrolment/device-ca.ts';
import { startEnrolmentServer } from './enrolment/https.ts';
import { schedule } from './jobs.ts';
import { openKeys, type ServerKeys } from './keys/server-keys.ts';
import { listenApp } from './listen.ts';
import { type ObjectStore, openObjectFolder } from './releases/object-store.ts';
import { renewOnlineRoles } from './releases/online-roles.ts';
import { releaseView } from './releases/view.ts';
import { restApp } from './rest/app.ts';
import { Auth } from './rest/auth.ts';
import { ensureAdmin } from './rest/passwords.ts';
import { Stream } from './rest/stream.ts';
import { RolloutRates } from './rollouts/rates.ts';
import { Rollouts } from './rollouts/rollouts.ts';
import { rolloutView } from './rollouts/view.ts';
import { openSqlite } from './store/sqlite.ts';
import type { Database } from './store/tables.ts';
import { ChunkServer } from './transport/chunk-server.ts';
import { Egress } from './transport/egress.ts';
import { type ObjectReader, objectReader } from './transport/object-reader.ts';

export type { FleetServer, FleetServerConfig } from './config.ts';

const OPEN_FILES = 64;
const DELTA_CACHE_BYTES = 8 * 1024 ** 3;
const PRESENCE_SWEEP_MS = 2_000;

/** Closed in the reverse of the order they were opened in, also when a later one cannot open. */
type Closers = (() => Promise<void> | void)[];

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

/** The parts between the link and REST. */
function assemble(db: Database, keys: ServerKeys, log: Logger, closers: Closers) {
  const presence = new Presence(Date.now);
  const devices = new DeviceViews(db, presence);
  const stream = new Stream(
    {
      device: (id) => devices.summary(id),
      rollout: async (id) => {
        const row = await db.selectFrom('rollouts').selectAll().where('id', '=', id).executeTakeFirst();
        return row && rolloutView(db, row);
      },
      release: async (id) => {
        const row = await db.selectFrom('releases').selectAll().where('id', '=', id).executeTakeFirst();
        return row && releaseView(db, row);
      },
    },
    (error) => log.error({ error }, 'cannot tell watchers'),
  );
  const metrics = new MetricLog(db, (error) => log.error({ error }, 'cannot store metrics'));
  const postMortems = new PostMortemStore(db);
  const rates = new RolloutRates();
  const rollouts = new Rollouts(db, stream, rates, Date.now);
  const pins = new Pins(db, stream, Date.now);
  const link: { broker?: Broker } = {};
  // Devices are heard only once the broker is there, so this never throws in practice.
  const broker = () => {
    if (!link.broker) throw new Error('Cannot send: the broker is not started');
    return link.broker;
  };
  const desired = new Desired({
    db,
    broker,
    fleetKeys: keys.fleet,
    now: Date.now,
    onSent: (device, generation) => rollouts.sent(device, generation),
  });
  const inbox = new Inbox({
    db,
    presence,
    metrics,
    postMortems,
    desired,
    broker,
    log,
    feed: stream,
    attempts: rollouts,
    now: Date.now,
  });
  const sweep = setInterval(() => {
    for (const device of presence.lapsed()) stream.deviceChanged(device);
  }, PRESENCE_SWEEP_MS);
  closers.push(
    () => metrics.flush(),
    () => {
      clearInterval(sweep);
      stream.close();
    },
  );
  return {
    presence,
    devices,
    stream,
    metrics,
    postMortems,
    rollouts,
    rates,
    pins,
    desired,
    inbox,
    broker,
    link,
    log,
    auth: new Auth(db, Date.now),
  };
}

interface BrokerParts {
  config: FleetServerConfig;
  log: Logger;
  ca: DeviceCa;
  tls: { key: string; cert: string };
  fleet: ReturnType<typeof assemble>;
  reader: ObjectReader;
  egress: Egress;
  mayConnect(device: string, certificateSha256: string): Promise<boolean>;
  closers: Closers;
}

async function openBroker({
  config,
  log,
  ca,
  tls,
  fleet,
  reader,
  egress,
  mayConnect,
  closers,
}: BrokerParts): Promise<Broker> {
  const chunks = new ChunkServer(
    reader,
    {
      admit: (device, bytes) => egress.take(device, bytes),
      headOf: (device, bytes) => fleet.broker().dataHead(device, bytes),
      data: (device, packets) => fleet.broker().sendData(device, packets),
      isPaced: (device) => egress.isPaced(device),
      fault: (device, fault) => fleet.broker().send(device, 'bulk', 'fault', JSON.stringify(fault), 0),
    },
    log,
  );
  const broker = await startMqttBroker({
    host: config.host,
    port: config.mqttPort,
    tenant: TENANT,
    tls: { ...tls, ca: ca.pem },
    log,
    events: {
      mayConnect,
      opened: ({ device, session }) => {
        if (session === 'bulk') return chunks.forget(device);
        fleet.presence.opened(device);
        fleet.stream.deviceChanged(device);
      },
      closed: ({ device, session }) => {
        if (session === 'bulk') chunks.forget(device);
        else fleet.presence.closed(device);
      },
      message: (peer, channel, payload) =>
        channel === 'get'
          ? chunks.take(peer.device, payload)
          : fleet.inbox.take(peer.device, channel, payload),
    },
  });
  fleet.link.broker = broker;
  closers.push(() => broker.close());
  return broker;
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
