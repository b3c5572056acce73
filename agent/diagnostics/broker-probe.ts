import type { IStream } from 'mqtt';
// The client alone: the package's main module brings WebSocket and SOCKS transports that no device uses.
import client from 'mqtt/lib/client';
import { doctorClientId, downTopic, upTopic } from '../../protocol/topics.ts';
import type { Identity } from '../enrolment/identity.ts';
import { type Dial, tlsDial } from '../link/dial.ts';
import type { BrokerFacts } from './core/server.ts';
import { codeOf } from './server-probe.ts';

/** [MQTT-3.9.3-1]: a topic that is not granted. */
const NOT_GRANTED = 128;

/**
 * A real session with the device's own identity under the doctor's client id, which takes no other session's place:
 * it subscribes to the device's topics and publishes a probe that the server acknowledges and forgets.
 */
export async function probeBroker(
  { mqtt, key, certificate, ca, device, tenant }: Identity,
  signal: AbortSignal,
): Promise<BrokerFacts['outcome']> {
  const began = performance.now();
  const dial = tlsDial({ ...mqtt, key, certificate, ca });
  const session = new client.default(() => dial() as ReturnType<Dial> & IStream, {
    clientId: doctorClientId(device),
    username: device,
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    writeCache: false,
  });
  const drop = (): void => void session.end(true);
  signal.addEventListener('abort', drop, { once: true });
  try {
    const failed = await connected(session);
    if (failed) return failed;
    const granted = await session.subscribeAsync(downTopic(tenant, device, 'desired'), { qos: 1 });
    if (granted.some(({ qos }) => (qos as number) >= NOT_GRANTED))
      return { step: 'subscribe', message: 'the topic was not granted' };
    const probed = await publish(session, upTopic(tenant, device, 'probe'));
    return probed ?? { step: 'done', tookMs: Math.round(performance.now() - began) };
  } catch (error) {
    return { step: 'subscribe', message: (error as Error).message };
  } finally {
    signal.removeEventListener('abort', drop);
    drop();
  }
}

type Session = client.default;

function connected(session: Session): Promise<BrokerFacts['outcome'] | undefined> {
  const { promise, resolve } = Promise.withResolvers<BrokerFacts['outcome'] | undefined>();
  session.on('connect', () => resolve(undefined));
  session.on('error', (error) => resolve({ step: 'connect', code: codeOf(error), message: error.message }));
  session.on('close', () =>
    resolve({ step: 'connect', code: 'closed', message: 'the broker closed the connection' }),
  );
  return promise;
}

/** A broker that refuses a publish ends the session: its end is the answer. */
function publish(session: Session, topic: string): Promise<BrokerFacts['outcome'] | undefined> {
  const { promise, resolve } = Promise.withResolvers<BrokerFacts['outcome'] | undefined>();
  const refused = (message: string) => resolve({ step: 'publish', message });
  session.on('close', () => refused('the broker ended the session'));
  session.publish(topic, '{}', { qos: 1 }, (error) => (error ? refused(error.message) : resolve(undefined)));
  return promise;
}
