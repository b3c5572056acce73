import { expect, test } from 'vitest';
import type { Board } from '../../protocol/board.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import { crossCheck } from './cross-check.ts';

const boards = new Map([['raspberry-pi-4', { name: 'raspberry-pi-4', cpus: 4 } as Board]]);
type Service = ReleaseSource['services'][string];
const faultsOf = (service: Partial<Service>, more: Partial<ReleaseSource> = {}): string[] =>
  crossCheck(
    {
      name: 't',
      version: '1',
      boards: ['raspberry-pi-4'],
      services: {
        app: { image: 'oci:x', resources: { memory: { max: '1MiB' }, cpu: { max: 1 }, pids: 1 }, ...service },
      },
      volumes: { bus: { size: '4KiB' } },
      ...more,
    } as ReleaseSource,
    boards,
  );

test('a sound release has no fault', () => {
  expect(faultsOf({ mounts: [{ volume: 'bus', path: '/run/bus' }] })).toEqual([]);
});

const resources = { memory: { max: '4MiB' }, cpu: { max: 1 }, pids: 1 };
const budget = (more: object) => ({ resources: { ...resources, ...more } });
const on = (dependsOn: object) => ({ dependsOn }) as Partial<Service>;
const beside = (db: object, more: object = {}) => ({
  services: { app: { image: 'oci:x', resources, ...more }, db: { image: 'oci:x', resources, ...db } },
});
const lan = { networks: { lan: {} } };
const onLan = (more: object = {}) => ({ networks: { lan: {} }, ...more });

test.each([
  [{}, { boards: ['rasberry-pi-4'] }, 'did you mean "raspberry-pi-4"?'],
  [{ mounts: [{ volume: 'bsu', path: '/x' }] }, {}, 'which volumes does not declare; did you mean "bus"?'],
  [{ mounts: [{ volume: 'bus', path: '/a/../etc' }] }, {}, 'without "." or ".."'],
  [{ restart: { backoff: { initial: '2s', max: '1s' } } }, {}, 'wanted at least initial, 2s'],
])('%j %j is a fault', (service, more, message) => {
  expect(faultsOf(service as Partial<Service>, more)).toEqual([expect.stringContaining(message)]);
});

test.each([
  [budget({ memory: { max: '1023KiB' } }), 'memory.max is 1023KiB; wanted 1MiB or more'],
  [budget({ memory: { max: '4MiB', high: '5MiB' } }), 'memory.high is 5MiB; wanted at most max, 4MiB'],
  [budget({ memory: { max: '4MiB', min: '5MiB' } }), 'memory.min is 5MiB; wanted at most max, 4MiB'],
  [budget({ cpu: { max: 1, cpuset: '0,4' } }), 'there is no CPU 4 on raspberry-pi-4 (0-3)'],
  [budget({ cpu: { max: 1, cpuset: '3-1' } }), 'such as 1-3'],
  [budget({ disk: { writable: '1MiB' } }), 'disk.writable: the root is read-only'],
  [budget({ disk: { backing: 'disk' } }), 'disk.backing: there is no writable layer'],
  [budget({ disk: { tmp: '5MiB' } }), "disk.tmp is 5MiB, but lies in the service's memory"],
  [budget({ io: { read: '0B' } }), 'io.read is 0B; wanted 1B or more'],
  [budget({ logs: { size: '1KiB' } }), 'logs.size is 1KiB; wanted 64KiB or more'],
])('the budget %j is a fault', (service, message) => {
  expect(faultsOf(service as Partial<Service>)).toEqual([expect.stringContaining(message)]);
});

test('channels are held against the services', () => {
  const channel = { publishers: ['app'], subscribers: ['app'], slotSize: '1MiB' };
  const of = (change: object) => faultsOf({}, { channels: { frames: { ...channel, ...change } } });
  expect(of({})).toEqual([]);
  expect(of({ publishers: ['ap'] })).toEqual([
    'channels.frames.publishers: no service is called "ap"; did you mean "app"?',
  ]);
  expect(of({ slotSize: '16MiB', depth: 64 })).toEqual([expect.stringContaining('at most 256 MiB')]);
  expect(of({ depth: 9 })).toEqual([expect.stringContaining('such as 16')]);
});

test('a writable layer on the disk may be larger than the memory', () => {
  const resourcesOnDisk = budget({ disk: { writable: '1GiB', backing: 'disk' } });
  expect(faultsOf({ ...resourcesOnDisk, security: { readOnlyRoot: false } } as Partial<Service>)).toEqual([]);
});

test.each([
  [{}, beside({}, on({ dv: 'started' })), 'dependsOn.dv: no service has this name; did you mean "db"?'],
  [{}, beside({}, on({ db: 'healthy' })), 'db has no health check'],
  [{}, beside({}, on({ db: 'completed' })), 'db is always started again'],
  [{}, beside(on({ app: 'started' }), on({ db: 'started' })), 'app → db → app'],
  [on({ app: 'started' }), {}, 'app → app'],
])('the dependency %j %j is a fault', (service, more, message) => {
  expect(faultsOf(service, more as Partial<ReleaseSource>)).toEqual([expect.stringContaining(message)]);
});

test.each([
  [{ health: {} }, {}, 'health says nothing to check'],
  [{ health: { exec: ['/x'], tcp: { port: 1 } } }, {}, 'health has exec and tcp'],
  [{ health: { http: { port: 1, path: '/' } } }, {}, 'health.http: the service has no network'],
  [{ network: 'none', health: { tcp: { port: 1 } } }, {}, 'health.tcp: the service has no network'],
  [{ health: { exec: ['/x'], interval: '1ms' } }, {}, 'health.interval is 1ms; wanted 100ms or more'],
])('the health check %j is a fault', (service, more, message) => {
  expect(faultsOf(service as Partial<Service>, more)).toEqual([expect.stringContaining(message)]);
});

test.each([
  [onLan({ network: 'none' }), lan, 'network is none, but it is on networks too'],
  [{ ports: [{ host: 80, container: 80 }] }, {}, 'ports: the service is on no network to publish from'],
  [{ network: 'host', ports: [{ host: 80, container: 80 }] }, {}, "on the host's network"],
  [onLan({ ports: [{ host: 8, container: 8 }] }), { networks: { lan: { internal: true } } }, 'are internal'],
  [budget({ network: { ingress: '1Mbit' } }), {}, 'no network to limit'],
  [onLan(budget({ network: { ingress: '1kbit' } })), lan, 'wanted 8kbit or more'],
  [
    { networks: { lna: {}, lan: {} } },
    lan,
    'networks.lna: networks does not declare it; did you mean "lan"?',
  ],
  [{}, lan, 'networks.lan: no service is on it'],
  [onLan({ ports: [{ host: 8, container: 8, address: '1.2.3.400' }] }), lan, 'wanted an IPv4 address'],
])('on the network, %j %j is a fault', (service, more, message) => {
  expect(faultsOf(service as Partial<Service>, more)).toEqual([expect.stringContaining(message)]);
});

const published = (port: object) => ({ networks: { lan: {} }, ports: [{ host: 80, container: 1, ...port }] });
const bothOnLan = (app: object, db: object) =>
  faultsOf({}, { ...lan, ...beside(db, app) } as unknown as Partial<ReleaseSource>);

test('two services may not publish one port of the host, nor take the name of another', () => {
  expect(bothOnLan(published({}), published({ address: '10.0.0.1' }))).toEqual([
    'services.db.ports.0.host is 80/tcp, which services.app.ports.0 has; choose another port',
  ]);
  expect(bothOnLan(published({}), published({ protocol: 'udp' }))).toEqual([]);
  expect(bothOnLan({ networks: { lan: { aliases: ['db'] } } }, onLan())).toEqual([
    expect.stringContaining('aliases.0 is "db", the name of a service there'),
  ]);
});

test.each([
  [{ security: { capabilities: ['CAP_NET_RAWW'] } }, 'did you mean "CAP_NET_RAW"?'],
  [{ security: { syscalls: ['keyclt'] } }, '"keyclt" is not a known system call; did you mean "keyctl"?'],
  [{ security: { seccomp: 'unconfined', syscalls: ['bpf'] } }, 'seccomp is unconfined'],
  [{ devices: [{}] }, 'devices.0 names no device'],
  [{ devices: [{ target: '/dev/x' }] }, 'devices.0 names no device'],
  [{ devices: [{ path: '/dev/x', cdi: 'v.com/c=0' }] }, 'devices.0 has path and cdi'],
  [{ devices: [{ target: '/dev/x', cdi: 'v.com/c=0' }] }, 'target and access go with path'],
  [{ devices: [{ path: '/dev/../etc' }] }, 'without "." or ".."'],
  [{ devices: [{ path: '/dev/x' }, { path: '/dev/y', target: '/dev/x' }] }, '"/dev/x" is there already'],
  [{ secrets: [{ name: 'a', path: '/run//wherry/lease/a' }] }, "/run/wherry/ is the agent's"],
  [{ secrets: [{ name: 'a' }, { name: 'a', path: '/b' }] }, 'secrets.1.name is "a" again'],
  [{ secrets: [{ name: 'a', path: '/run/bus' }], mounts: [{ volume: 'bus', path: '/run/bus' }] }, 'already'],
])('the isolation %j is a fault', (service, message) => {
  expect(faultsOf(service as Partial<Service>)).toEqual([expect.stringContaining(message)]);
});
