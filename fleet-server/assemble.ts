import type { Logger } from 'pino';
import type { Broker } from './broker/broker.ts';
import type { Closers } from './config.ts';
import { Desired } from './devices/desired.ts';
import { Inbox } from './devices/inbox.ts';
import { MetricLog } from './devices/metrics.ts';
import { Pins } from './devices/pins.ts';
import { PostMortemStore } from './devices/post-mortems.ts';
import { Presence } from './devices/presence.ts';
import { DeviceViews } from './devices/view.ts';
import type { ServerKeys } from './keys/server-keys.ts';
import { releaseView } from './releases/view.ts';
import { Remote } from './remote/remote.ts';
import { Auth } from './rest/auth.ts';
import { Stream } from './rest/stream.ts';
import { RolloutRates } from './rollouts/rates.ts';
import { Rollouts } from './rollouts/rollouts.ts';
import { rolloutView } from './rollouts/view.ts';
import type { Database } from './store/tables.ts';

const PRESENCE_SWEEP_MS = 2_000;

export type Fleet = ReturnType<typeof assemble>;

/** The parts between the link and REST. */
export function assemble(db: Database, keys: ServerKeys, log: Logger, closers: Closers) {
  const presence = new Presence(Date.now);
  const link: { broker?: Broker } = {};
  // Devices are heard only once the broker is there, so this never throws in practice.
  const broker = () => {
    if (!link.broker) throw new Error('Cannot send: the broker is not started');
    return link.broker;
  };
  const onChange = (device: string) => stream.deviceChanged(device);
  const remote = new Remote({ broker, onChange, now: Date.now, log });
  const devices = new DeviceViews(db, presence, remote);
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
    clocks: remote,
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
    remote,
    db,
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
