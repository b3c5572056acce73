import type { Logger } from 'pino';
import type { Fleet } from './assemble.ts';
import { type Broker, startMqttBroker } from './broker/broker.ts';
import { type Closers, type FleetServerConfig, TENANT } from './config.ts';
import type { DeviceCa } from './enrolment/device-ca.ts';
import { ChunkServer } from './transport/chunk-server.ts';
import type { Egress } from './transport/egress.ts';
import type { ObjectReader } from './transport/object-reader.ts';

interface BrokerParts {
  config: FleetServerConfig;
  log: Logger;
  ca: DeviceCa;
  tls: { key: string; cert: string };
  fleet: Fleet;
  reader: ObjectReader;
  egress: Egress;
  mayConnect(device: string, certificateSha256: string): Promise<boolean>;
  closers: Closers;
}

/** The broker, with what its sessions say handed to the parts that are for it. */
export async function openBroker({
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
      // A doctor's session tells whoever opened it that the way is free; nobody else hears of it.
      opened: ({ device, session }) => {
        if (session === 'doctor') return undefined;
        if (session === 'bulk') return chunks.forget(device);
        fleet.presence.opened(device);
        fleet.stream.deviceChanged(device);
      },
      closed: ({ device, session }) => {
        fleet.remote.closed(device, session);
        if (session === 'bulk') chunks.forget(device);
        else if (session === 'control') fleet.presence.closed(device);
      },
      message: async ({ device }, channel, payload) => {
        if (channel === 'get') return chunks.take(device, payload);
        if (channel === 'answer') return fleet.remote.answered(device, payload);
        if (channel === 'abilities') return fleet.remote.abilitiesTold(device, payload);
        return channel === 'probe' ? undefined : fleet.inbox.take(device, channel, payload);
      },
    },
  });
  fleet.link.broker = broker;
  closers.push(() => broker.close());
  return broker;
}
