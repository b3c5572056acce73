import type { Hello, Report } from '../protocol/messages.ts';
import type { AgentConfig } from './config.ts';
import type { Identity } from './enrolment/identity.ts';
import { BulkSession } from './link/bulk-session.ts';
import { tlsDial } from './link/dial.ts';
import { MqttLink } from './link/mqtt-link.ts';
import type { PostMortemQueue } from './link/ports.ts';
import { Reporter } from './link/reporter.ts';
import type { AgentStatus } from './local-api/ports.ts';
import { deviceEvent, mirrorsOf, openUpdates, type Steered, type UpdateParts } from './open-updates.ts';
import type { Reboot, RemoteView } from './remote/ports.ts';
import { RemoteDoor } from './remote/remote-door.ts';
import { SpareMemory } from './spare-memory.ts';
import { systemClock } from './system-clock.ts';
import type { UpdateEngine } from './update/engine.ts';
import type { Log } from './update/ports.ts';
import { HttpSource } from './update/sources/http-source.ts';
import { MqttSource } from './update/sources/mqtt-source.ts';
import { SourceChain, type SourceLink } from './update/sources/source-chain.ts';
import { TrustWatch } from './update/trust-watch.ts';
import { TrustedClock } from './update/trusted-clock.ts';
import { AGENT_VERSION } from './version.ts';

export interface ConnectedParts extends UpdateParts {
  identity: Identity;
  bootId: string;
  /** What a report says of the services, the device and its channels, now. */
  observed(): Pick<Report, 'services' | 'device' | 'channels'>;
  postMortems: PostMortemQueue;
  /** What users of the server may come to see and do. */
  view(): RemoteView;
  reboot: Reboot;
}

/** The parts of an agent that has an identity: updates, link and reports. */
export interface Connected extends Steered {
  link(): AgentStatus['link'];
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
  const sources = sourcesOf(config, identity, new MqttSource({ channel: bulk }));
  const spare = new SpareMemory(systemClock, globalThis.gc);
  const { engine, trust, ...steered } = openUpdates(parts, {
    identity,
    sources,
    isOnline,
    onChange: () => {
      spare.busy();
      reporter.changed();
    },
    trustedNow: (floor) => trusted.now(floor),
    freshness: () => watch.freshness,
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
    remote: remoteDoor(parts, bulk),
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
    ...steered,
    look: () => watch.lookNow(),
    link: () => linkState,
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

const remoteDoor = (
  { config, ledger, view, reboot, log }: ConnectedParts,
  channel: BulkSession,
): RemoteDoor =>
  new RemoteDoor(config.remote, { view, reboot, channel, outbox: ledger.outbox, clock: systemClock, log });

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

function sourcesOf(config: AgentConfig, identity: Identity, mqtt: MqttSource): SourceChain {
  const { https, ca, key, certificate } = identity;
  const links: SourceLink[] = [...mirrorsOf(config), { name: 'mqtt', source: mqtt }];
  if (https) {
    const base = `https://${https.host}:${https.port}/objects`;
    links.push({ name: base, source: new HttpSource({ base, tls: { ca, key, cert: certificate } }) });
  }
  return new SourceChain(links, () => performance.now());
}
