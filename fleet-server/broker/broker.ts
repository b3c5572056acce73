import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { Aedes, type AuthenticateError, type Client } from 'aedes';
import type { Logger } from 'pino';
import {
  bulkClientId,
  type DownChannel,
  doctorClientId,
  downTopic,
  parseUpTopic,
  type UpChannel,
} from '../../protocol/topics.ts';
import { listen } from '../listen.ts';
import { maySubscribe, type Peer, peerOf, publishFault } from './core/access.ts';
import { GuardedConnection } from './length-guard.ts';
import { publishHead } from './publish-head.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const DRAIN_TIMEOUT_MS = 120_000;
/** Packets a client may send before its CONNECT is answered. */
const QUEUE_LIMIT = 16;
/** Our topics have at most five levels. */
const TOPIC_LEVELS = 8;
const NOT_AUTHORISED = 5;
const CLIENT_ID: Record<Peer['session'], (device: string) => string> = {
  control: (device) => device,
  bulk: bulkClientId,
  doctor: doctorClientId,
};

/** What the broker asks of and tells the rest of the server. */
export interface BrokerEvents {
  /** May this certificate (sha256 of its DER, hex) speak for the device now? */
  mayConnect(device: string, certificateSha256: string): Promise<boolean>;
  opened(peer: Peer): void;
  closed(peer: Peer): void;
  /** Awaited before the client's next packets are read: the back-pressure of the link. */
  message(peer: Peer, channel: UpChannel, payload: Buffer): Promise<void>;
}

/** The link to devices: MQTT over mutual TLS. */
export interface Broker {
  port: number;
  /** Packets refused before and after authentication, since the start. */
  guardFaults(): number;
  isOpen(device: string, session: Peer['session']): boolean;
  /** Resolves when the socket took the message (not when the device did); false when there is no such session. */
  send(
    device: string,
    session: Peer['session'],
    channel: DownChannel,
    payload: Buffer | string,
    qos: 0 | 1,
  ): Promise<boolean>;
  /** What stands on the line before a chunk message of so many bytes, so that both are one buffer. */
  dataHead(device: string, messageBytes: number): Buffer;
  /** Sends heads and messages past the broker's parts, each of which would copy them. Resolves as `send` does. */
  sendData(device: string, packets: Buffer): Promise<boolean>;
  useCertificate(context: SecureContextOptions): void;
  close(): Promise<void>;
}

export interface BrokerOptions {
  host: string;
  port: number;
  tenant: string;
  tls: SecureContextOptions & { ca: string };
  events: BrokerEvents;
  log: Logger;
}

export async function startMqttBroker(options: BrokerOptions): Promise<Broker> {
  const { events, log, tenant } = options;
  const peers = new WeakMap<Client, Peer>();
  const aedes = new Aedes({
    connectTimeout: CONNECT_TIMEOUT_MS,
    drainTimeout: DRAIN_TIMEOUT_MS,
    queueLimit: QUEUE_LIMIT,
    maxTopicLevels: TOPIC_LEVELS,
    authenticate: (client, username, _password, answer) => {
      authenticate(client, username, { tenant, events, peers }).then(
        (isAllowed) => answer(isAllowed ? null : refusal(), isAllowed),
        (error: unknown) => {
          log.error({ error }, 'cannot authenticate a device');
          answer(refusal(), false);
        },
      );
    },
    authorizePublish: (client, packet, done) => {
      const peer = client && peers.get(client);
      // The broker's own $SYS messages have no client.
      const fault = client ? (peer ? publishFault(peer, packet) : 'no peer') : undefined;
      if (fault) log.warn({ client: client?.id, topic: packet.topic }, `refused a publish: ${fault}`);
      done(fault ? new Error(fault) : null);
    },
    authorizeSubscribe: (client, subscription, done) => {
      const peer = peers.get(client);
      const isAllowed = peer !== undefined && maySubscribe(peer, subscription.topic);
      if (!isAllowed) log.warn({ client: client.id, topic: subscription.topic }, 'refused a subscription');
      done(null, isAllowed ? subscription : null);
    },
    published: (packet, client, goOn) => {
      const peer = client && peers.get(client);
      const topic = peer && parseUpTopic(packet.topic);
      if (!peer || !topic) return goOn();
      events.message(peer, topic.channel, Buffer.from(packet.payload)).then(
        () => goOn(),
        (error: unknown) => {
          log.error({ error, device: peer.device, channel: topic.channel }, 'cannot handle a message');
          goOn();
        },
      );
    },
  });
  await aedes.listen();
  const clients = trackSessions(aedes, peers, events);
  aedes.on('clientError', (client, error) =>
    log.info({ client: client.id }, `session cut: ${error.message}`),
  );
  aedes.on('connectionError', (_client, error) => log.info(`connection refused: ${error.message}`));
  return serve(options, aedes, clients);
}

function refusal(): AuthenticateError {
  return Object.assign(new Error('not authorised'), { returnCode: NOT_AUTHORISED as number });
}

async function authenticate(
  client: Client,
  username: string | undefined,
  { tenant, events, peers }: { tenant: string; events: BrokerEvents; peers: WeakMap<Client, Peer> },
): Promise<boolean> {
  const connection = client.conn as GuardedConnection;
  const certificate = connection.socket.getPeerCertificate();
  if (!connection.socket.authorized || typeof certificate.subject?.CN !== 'string') return false;
  const peer = peerOf(client.id, certificate.subject.CN, tenant);
  if (!peer || (username !== undefined && username !== peer.device && username !== client.id)) return false;
  // MQTT 3.1.1 and clean sessions only: nothing is kept for who is away.
  if (client.version !== 4 || !client.clean) return false;
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  if (!(await events.mayConnect(peer.device, fingerprint))) return false;
  peers.set(client, peer);
  connection.admit();
  return true;
}

/** Sessions by client id; a second connection of an id has replaced the first before `opened` is told. */
function trackSessions(aedes: Aedes, peers: WeakMap<Client, Peer>, events: BrokerEvents) {
  const clients = new Map<string, Client>();
  aedes.on('clientReady', (client) => {
    const peer = peers.get(client);
    if (!peer) return;
    clients.set(client.id, client);
    events.opened(peer);
  });
  aedes.on('clientDisconnect', (client) => {
    const peer = peers.get(client);
    if (!peer || clients.get(client.id) !== client) return;
    clients.delete(client.id);
    events.closed(peer);
  });
  return clients;
}

async function serve(
  options: BrokerOptions,
  aedes: Aedes,
  clients: ReadonlyMap<string, Client>,
): Promise<Broker> {
  const { log, tls } = options;
  let faults = 0;
  const sockets = new Set<TLSSocket>();
  const server = createServer(
    { ...tls, requestCert: true, rejectUnauthorized: true, handshakeTimeout: CONNECT_TIMEOUT_MS },
    (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.setNoDelay(true);
      const connection = new GuardedConnection(socket, (what) => {
        faults++;
        log.warn({ from: socket.remoteAddress }, `cut a connection: ${what}`);
      });
      aedes.handle(connection);
    },
  );
  server.on('tlsClientError', (error) => log.info(`TLS handshake failed: ${error.message}`));
  const clientOf = (device: string, session: Peer['session']) => clients.get(CLIENT_ID[session](device));
  const port = await listen(server, options.host, options.port).catch(async (error: unknown) => {
    await new Promise<void>((resolve) => aedes.close(resolve));
    throw error;
  });
  return {
    port,
    guardFaults: () => faults,
    isOpen: (device, session) => clientOf(device, session) !== undefined,
    send: (device, session, channel, payload, qos) => {
      const client = clientOf(device, session);
      if (!client) return Promise.resolve(false);
      const topic = downTopic(options.tenant, device, channel);
      return new Promise((resolve) => {
        client.publish({ cmd: 'publish', topic, payload, qos, retain: false, dup: false }, () =>
          resolve(!client.closed),
        );
      });
    },
    dataHead: (device, messageBytes) => publishHead(downTopic(options.tenant, device, 'data'), messageBytes),
    sendData: async (device, packets) => {
      const client = clientOf(device, 'bulk');
      if (!client) return false;
      await (client.conn as GuardedConnection).send(packets, DRAIN_TIMEOUT_MS);
      return !client.closed;
    },
    useCertificate: (context) => server.setSecureContext({ ...tls, ...context }),
    close: async () => {
      await new Promise<void>((resolve) => aedes.close(resolve));
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
