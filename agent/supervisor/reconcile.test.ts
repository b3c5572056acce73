import { describe, expect, test } from 'vitest';
import { serviceSpec } from '../../test/support/service-specs.ts';
import { noShedding } from './core/shedding.ts';
import { DRAIN_MS, SETTLE_MS } from './core/slots.ts';
import { FakeChannels } from './fake-channels.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeNetworks } from './fake-networks.ts';
import type { CgroupTree, RootfsStore } from './ports.ts';
import { Reconciler } from './reconcile.ts';
import { FakeMachine, FakeRuntime } from './runtime/fake-runtime.ts';
import type { ServiceChannel, ServiceSpec } from './service-spec.ts';

const web = serviceSpec('web', {
  network: 'segments',
  segments: [{ name: 'main', aliases: [], isInternal: false }],
});
const alone = serviceSpec('alone');

const channelOf = (name: string): ServiceChannel => ({
  name,
  id: `${name}.1`,
  publishers: ['camera'],
  subscribers: ['detector'],
  slotSizeBytes: 64,
  depth: 2,
  mode: 'lossy',
});

const on = (name: string, channel: ServiceChannel): ServiceSpec => serviceSpec(name, { channels: [channel] });

const fault = async (): Promise<never> => {
  throw new Error('No');
};
const lacking = async (): Promise<never> => {
  throw Object.assign(new Error('There is no secret "key"'), { code: 'wait.secret' });
};

/** A kernel that holds every budget, and mounts that always succeed unless a test replaces one. */
function reconciled(parts: Partial<RootfsStore> = {}) {
  const clock = new FakeClock(1000);
  const machine = new FakeMachine(undefined, () => clock.now());
  const networks = new FakeNetworks();
  const channels = new FakeChannels();
  const told: { service: string | undefined; code: string; message: string }[] = [];
  const cgroups: CgroupTree = {
    prepare: async () => undefined,
    pathOf: (service) => service,
    apply: async () => undefined,
    read: async () => web.resources,
    usage: async () => undefined,
    degraded: () => [],
    holdMonitor: async () => undefined,
    remove: async () => undefined,
    destroy: async () => undefined,
  };
  const rootfs: RootfsStore = {
    mount: async () => '/root',
    unmount: async () => undefined,
    destroy: async () => undefined,
    ...parts,
  };
  const host = { reboot: async () => 'accepted' };
  const runtime = new FakeRuntime(machine);
  const reconciler = new Reconciler(
    { runtime, cgroups, rootfs, networks, channels, host, clock },
    { load: () => ({}), save: () => undefined, forget: () => undefined },
    { info: () => undefined, warn: () => undefined },
    (service, { code, message }) => told.push({ service, code, message }),
  );
  const pass = (desired: ServiceSpec[], checksKernel = false) =>
    reconciler.pass(
      { desired, isShuttingDown: false, health: new Map(), shedding: noShedding(0), holds: new Map() },
      checksKernel,
    );
  const record = (name: string) => reconciler.records.get(name);
  return { clock, machine, networks, channels, told, pass, record, reconciler };
}

describe('a start', () => {
  test('whose network cannot be set up says so, and one without a network goes on', async () => {
    const { networks, pass, record, machine } = reconciled();
    networks.fault = new Error('Cannot set up network "main": no bridge');
    await pass([web, alone]);
    expect(record('web')?.reasons.map(({ code }) => code)).toEqual([
      'wait.backoff',
      'fail.network',
      'start.desired',
    ]);
    expect(machine.starts).toEqual(['alone']);
  });

  test('whose volume cannot be mounted is told from one whose image cannot', async () => {
    const image = reconciled({ mount: fault });
    await image.pass([alone]);
    expect(image.record('alone')?.reasons[1]?.code).toBe('fail.image');
    const unmounted = Object.assign(new Error('no room'), { code: 'fail.volume' });
    const volume = reconciled({ mount: () => Promise.reject(unmounted) });
    await volume.pass([alone]);
    expect(volume.record('alone')?.reasons[1]?.code).toBe('fail.volume');
  });

  test('whose channel cannot be made says so, and one on another channel goes on', async () => {
    const { channels, pass, record, machine } = reconciled();
    channels.lacking.set('frames.1', new Error('Cannot make channel "frames": no memory'));
    await pass([on('camera', channelOf('frames')), on('sensor', channelOf('values')), alone]);
    expect(record('camera')?.reasons[1]).toMatchObject({
      code: 'fail.channel',
      message: 'Cannot make channel "frames": no memory',
    });
    expect(machine.starts).toEqual(['sensor', 'alone']);
  });

  test('that lacks something keeps the code of what is missing, and waits without failing', async () => {
    const { pass, record } = reconciled({ mount: lacking });
    await pass([alone]);
    expect(record('alone')).toMatchObject({ state: 'waiting', failures: 0, blocked: { until: 6000 } });
  });
});

test('a channel is there before its first service and goes with the last', async () => {
  const { channels, pass } = reconciled();
  const both = ['camera', 'detector'].map((name) => serviceSpec(name, { channels: [channelOf('frames')] }));
  await pass(both);
  expect([...channels.made]).toEqual(['frames.1']);
  await pass(both);
  expect(channels.running).toMatchObject([
    { service: 'camera', channels: ['frames.1'] },
    { service: 'detector', channels: ['frames.1'] },
  ]);
  await pass([]);
  expect([...channels.made]).toEqual(['frames.1']);
  for (let round = 0; round < 3; round++) await pass([]);
  expect([...channels.made]).toEqual([]);
});

test('a service that leaves gives its network back', async () => {
  const { networks, pass } = reconciled();
  await pass([web]);
  expect([...networks.attached.keys()]).toEqual(['web']);
  for (let round = 0; round < 4; round++) await pass([]);
  expect([...networks.attached.keys()]).toEqual([]);
  expect(networks.prepared).toEqual([]);
});

test('a network that cannot be repaired is told once, and again after it was well', async () => {
  const { networks, pass, told } = reconciled();
  networks.fault = new Error('Cannot run nft: no memory');
  await pass([], true);
  await pass([], true);
  networks.fault = undefined;
  await pass([], true);
  networks.fault = new Error('Cannot run nft: no memory');
  await pass([], true);
  const failed = { service: undefined, code: 'repair.network-failed', message: 'Cannot run nft: no memory' };
  expect(told).toEqual([failed, failed]);
});

test('a network that drifted is repaired and told', async () => {
  const { networks, pass, told } = reconciled();
  networks.missing = ['table inet wherry'];
  await pass([], true);
  expect(told).toEqual([
    { service: undefined, code: 'repair.network', message: 'Set again: table inet wherry' },
  ]);
});

const version = (args: string[]): ServiceSpec =>
  serviceSpec('web', {
    args,
    update: { strategy: 'start-then-stop' },
    network: 'segments',
    segments: [{ name: 'main', aliases: [], isInternal: false }],
  });

test('two versions of a service are known by one name, which changes hands before the old one ends', async () => {
  const { clock, machine, networks, pass, record, reconciler } = reconciled();
  const settle = async (spec: ServiceSpec): Promise<void> => {
    while ((await pass([spec])).steps.length > 0);
  };
  await settle(version(['v1']));
  await settle(version(['v2']));
  expect([...machine.containers.keys()]).toEqual(['web', 'web.2']);
  expect([reconciler.instanceOf('web'), networks.standby]).toEqual(['web.2', ['web.2']]);
  await clock.advance(SETTLE_MS);
  const { wakeAt } = await pass([version(['v2'])]);
  expect([networks.standby, wakeAt]).toEqual([['web'], clock.now() + DRAIN_MS]);
  await clock.advance(DRAIN_MS);
  await settle(version(['v2']));
  machine.exit('web', { exitCode: 0, signal: undefined });
  await settle(version(['v2']));
  expect([...machine.containers.keys()]).toEqual(['web.2']);
  expect([reconciler.instanceOf('web'), networks.standby, record('web')]).toEqual(['web.2', [], undefined]);
  expect(record('web.2')?.reasons.map(({ code }) => code)).toEqual(
    expect.arrayContaining(['start.desired', 'start.spec-changed', 'stop.replaced']),
  );
});
