import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attachBatch } from '../../agent/supervisor/network/core/links.ts';
import { planAttach } from '../../agent/supervisor/network/core/plan.ts';
import { KernelNetworks, resolvConfPath } from '../../agent/supervisor/network/kernel-networks.ts';
import { groundFor, ownedBy, presentLinks } from '../../agent/supervisor/network/owned-links.ts';
import { readState, replaceFile } from '../../agent/supervisor/network/state-file.ts';
import type { ServiceSpec } from '../../agent/supervisor/service-spec.ts';
import {
  commandOf,
  hostAddresses,
  hostAsks,
  member,
  networkProbes,
  on,
  ourMonitors,
  port,
  run,
  sinkOf,
} from '../support/network-probes.ts';
import { serviceSpec } from '../support/service-specs.ts';
import { until } from '../support/until.ts';

const instance = `nt-${process.pid}`;
const owned = ownedBy(instance);
const { inside, send, ask, pings, counter, lastHandle } = networkProbes(owned);
const HOST_PORT = 20_000 + (process.pid % 10_000);
const MIB = 1024 ** 2;

describe("the kernel's networks", () => {
  let runDir: string;
  let networks: KernelNetworks;
  let processes: ChildProcess[] = [];

  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'wherry-networks-'));
    networks = new KernelNetworks({ instance, runDir });
  });

  afterEach(async () => {
    for (const child of processes) child.kill('SIGKILL');
    processes = [];
    await networks.destroy();
    rmSync(runDir, { recursive: true, force: true });
    const left = traces();
    if (left.length > 0) throw new Error(`Left behind: ${left.join(', ')}`);
  });

  /** Everything that carries this instance's name. */
  const traces = (): string[] => [
    ...presentLinks(owned),
    ...(existsSync('/run/netns') ? readdirSync('/run/netns') : []).filter((name) =>
      name.startsWith(`${owned.netns}.`),
    ),
    ...run('nft', ['list', 'tables'])
      .split('\n')
      .filter((line) => line.endsWith(` ${owned.table}`)),
    ...nameServers(),
  ];

  const nameServers = (): string[] =>
    readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(`${runDir}/network/`));

  const serve = (service: string, port: number, says: string): void =>
    listen(service, `socket.end(${JSON.stringify(says)})`, port);

  const listen = (service: string, onSocket: string, port: number): void => {
    const script = `require('node:net').createServer((socket) => ${onSocket}).listen(${port})`;
    const args = [`--net=/run/netns/${owned.netns}.${service}`, process.execPath, '-e', script];
    processes.push(spawn('nsenter', args, { stdio: 'ignore' }));
  };

  const up = async (...specs: ServiceSpec[]): Promise<void> => {
    await networks.prepare(specs);
    for (const spec of specs) await networks.attach(spec);
  };

  const address = (service: string, segment: string): string => {
    const found = networks.observe(service)?.addresses[segment];
    if (found === undefined) throw new Error(`${service} has no address on ${segment}`);
    return found;
  };

  /** The address that a name has for a service, asked as its own resolver would. */
  const lookUp = (service: string, name: string): string | undefined => {
    const server = /nameserver (\S+)/.exec(readFileSync(resolvConfPath(runDir, service), 'utf8'))?.[1] ?? '';
    const { stdout } = inside(service, 'nslookup', '-type=a', `${name}.`, server);
    return /Name:.*\nAddress: (\S+)/.exec(stdout)?.[1];
  };

  test('join services of a segment, by address and by name', async () => {
    await up(member('alpha', [on('main')]), member('beta', [on('main', ['store'])]));
    serve('beta', 80, 'hello');
    await until(() => ask('alpha', address('beta', 'main'), 80) === 'hello', { what: 'an answer' });
    expect(lookUp('alpha', 'beta')).toBe(address('beta', 'main'));
    expect(lookUp('alpha', 'store')).toBe(address('beta', 'main'));
  });

  test('count what a service sent and received', async () => {
    await up(member('alpha', [on('main')]), member('beta', [on('main')]));
    inside('alpha', 'ping', '-c', '3', '-i', '0.1', '-s', '1000', address('beta', 'main'));
    const use = networks.observe('alpha');
    expect(use?.sentBytes).toBeGreaterThan(3000);
    expect(use?.receivedBytes).toBeGreaterThan(3000);
    expect(networks.observe('nobody')).toBeUndefined();
  });

  test('part the segments: no port, no echo and no name across', async () => {
    await up(member('alpha', [on('main')]), member('beta', [on('other')]));
    for (const port of [80, 443, 8080]) serve('beta', port, 'leak');
    const beta = address('beta', 'other');
    await until(() => hostAsks(beta, 80) === 'leak', { what: 'the server' });
    for (const port of [80, 443, 8080]) expect(ask('alpha', beta, port)).toBe('');
    expect(inside('alpha', 'ping', '-c', '1', '-W', '1', beta).status).not.toBe(0);
    expect(lookUp('alpha', 'beta')).toBeUndefined();
    // Not by the other segment's own bridge either.
    const gateway = beta.replace(/\d+$/, '1');
    expect(inside('alpha', 'ping', '-c', '1', '-W', '1', gateway).status).not.toBe(0);
    expect(inside('alpha', 'nslookup', 'beta.', gateway).stdout).not.toContain(beta);
  });

  test('resolve the names of all segments of a service that is on several', async () => {
    await up(
      member('both', [on('inner', [], true), on('main')]),
      member('alpha', [on('main')]),
      member('hidden', [on('inner', [], true)]),
    );
    expect(lookUp('both', 'alpha')).toBe(address('alpha', 'main'));
    expect(lookUp('both', 'hidden')).toBe(address('hidden', 'inner'));
    expect(lookUp('hidden', 'both')).toBe(address('both', 'inner'));
    expect(lookUp('alpha', 'hidden')).toBeUndefined();
    expect(inside('both', 'ip', 'route').stdout).toContain(
      `via ${address('both', 'main').replace(/\d+$/, '1')} `,
    );
  });

  test.each([
    'nothing',
    'nothing.example.com',
  ])('say at once on an internal segment that there is no %s', async (name) => {
    await up(member('alpha', [on('inner', [], true)]));
    const server = address('alpha', 'inner').replace(/\d+$/, '1');
    const startedAt = performance.now();
    const { stdout } = inside('alpha', 'nslookup', '-type=a', `${name}.`, server);
    expect(stdout).toContain('NXDOMAIN');
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test('keep the names of a segment that becomes internal, or open again', async () => {
    for (const isInternal of [false, true, false]) {
      const specs = [member('alpha', [on('main', [], isInternal)])];
      await networks.prepare([]);
      await networks.detach('alpha');
      await up(...specs);
      expect(nameServers()).toHaveLength(1);
      expect(lookUp('alpha', 'alpha')).toBe(address('alpha', 'main'));
    }
  });

  describe('and the host', () => {
    let server: Server;
    beforeEach(async () => {
      server = createServer((socket) => socket.end('host')).listen(HOST_PORT, '0.0.0.0');
      await new Promise((resolve) => server.once('listening', resolve));
    });
    afterEach(() => {
      server.close();
    });

    test('let a service reach the name service and nothing else', async () => {
      await up(member('alpha', [on('main')]));
      const gateway = address('alpha', 'main').replace(/\d+$/, '1');
      expect(inside('alpha', 'ping', '-c', '1', '-W', '1', gateway).status).toBe(0);
      expect(ask('alpha', gateway, HOST_PORT)).toBe('');
      for (const own of hostAddresses()) expect(ask('alpha', own, HOST_PORT)).toBe('');
    });
  });

  describe('and the world outside', () => {
    const outside = `out-${instance}`;
    const world = { host: '198.18.77.1', there: '198.18.77.2' };

    beforeEach(() => {
      run('ip', ['netns', 'add', outside]);
      run('ip', ['link', 'add', `o${process.pid}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside]);
      run('ip', ['addr', 'add', `${world.host}/24`, 'dev', `o${process.pid}`]);
      run('ip', ['link', 'set', `o${process.pid}`, 'up']);
      run('ip', ['-n', outside, 'addr', 'add', `${world.there}/24`, 'dev', 'eth0']);
      run('ip', ['-n', outside, 'link', 'set', 'eth0', 'up']);
      run('ip', ['-n', outside, 'route', 'add', 'default', 'via', world.host]);
    });
    afterEach(() => {
      run('ip', ['link', 'del', `o${process.pid}`]);
      run('ip', ['netns', 'del', outside]);
    });

    const outsideAsks = (address: string, port: number): string =>
      spawnSync(
        'ip',
        ['netns', 'exec', outside, 'timeout', '3', 'busybox', 'nc', '-w', '1', address, String(port)],
        {
          encoding: 'utf8',
        },
      ).stdout.trim();

    test('an internal segment has no way there, even for a service that sets its own route', async () => {
      await up(member('closed', [on('inner', [], true)]), member('open', [on('main')]));
      await until(() => pings('open', world.there), { what: 'the way out' });
      expect(inside('closed', 'ip', 'route').stdout).not.toContain('default');
      const gateway = address('closed', 'inner').replace(/\d+$/, '1');
      expect(inside('closed', 'ip', 'route', 'add', 'default', 'via', gateway).status).toBe(0);
      expect(pings('closed', world.there)).toBe(false);
      expect(inside('open', 'ip', '-6', 'addr').stdout).not.toContain('inet6');
    });

    test('only published ports can be reached from there', async () => {
      const ports = [{ host: HOST_PORT + 3, container: 80, protocol: 'tcp' as const }];
      await up(member('web', [on('main')], { ports }), member('inner', [on('inner', [], true)]));
      serve('web', 80, 'web');
      serve('inner', 80, 'inner');
      await until(() => outsideAsks(world.host, HOST_PORT + 3) === 'web', { what: 'the published port' });
      await until(() => hostAsks(address('inner', 'inner'), 80) === 'inner', { what: 'the other server' });
      // By routes that a neighbour on the wire may set.
      expect(outsideAsks(address('web', 'main'), 80)).toBe('');
      expect(outsideAsks(address('inner', 'inner'), 80)).toBe('');
      const gateway = address('web', 'main').replace(/\d+$/, '1');
      const asked = ['netns', 'exec', outside, 'timeout', '2', 'busybox', 'nslookup', 'web.', gateway];
      expect(spawnSync('ip', asked, { encoding: 'utf8' }).stdout).not.toContain(address('web', 'main'));
    });
  });

  test('let nobody speak with an address that is not his', async () => {
    await up(member('alpha', [on('main')]), member('beta', [on('main')]));
    const beta = address('beta', 'main');
    expect(inside('alpha', 'ping', '-c', '1', '-W', '1', beta).status).toBe(0);
    const forged = beta.replace(/\d+$/, '77');
    inside('alpha', 'ip', 'addr', 'add', `${forged}/24`, 'dev', 'eth0');
    expect(inside('alpha', 'ping', '-c', '1', '-W', '1', '-I', forged, beta).status).not.toBe(0);
    expect(counter('bridge', 'forged_dropped')).toBeGreaterThan(0);
  });

  test('publish a port on the host, through 127.0.0.1 and its other addresses', async () => {
    await up(
      member('web', [on('main')], { ports: [port(HOST_PORT + 1)] }),
      member('inner', [on('inner', [], true)], { ports: [port(HOST_PORT + 2, '127.0.0.1')] }),
    );
    serve('web', 80, 'web');
    serve('inner', 80, 'inner');
    await until(() => hostAsks('127.0.0.1', HOST_PORT + 1) === 'web', { what: 'the published port' });
    for (const own of hostAddresses()) expect(hostAsks(own, HOST_PORT + 1)).toBe('web');
    await until(() => hostAsks('127.0.0.1', HOST_PORT + 2) === 'inner', { what: 'the internal port' });
    for (const own of hostAddresses()) expect(hostAsks(own, HOST_PORT + 2)).toBe('');
  });

  test.each([
    ['receives', { ingressBps: 16_000_000 }, 'beta', 'alpha'],
    ['sends', { egressBps: 16_000_000 }, 'alpha', 'beta'],
  ] as const)('hold a service to the rate at which it %s', async (_what, network, from, to) => {
    const { resources } = serviceSpec('any');
    await up(
      member('alpha', [on('main')], { resources: { ...resources, network } }),
      member('beta', [on('main')]),
    );
    const bytes = 4 * MIB;
    listen(to, sinkOf(bytes), 99);
    await until(() => inside(from, 'nc', '-w', '1', address(to, 'main'), '99').status === 0, {
      what: 'the sink',
    });
    const startedAt = performance.now();
    expect(await send(from, bytes, address(to, 'main'))).toBe('all');
    const seconds = (performance.now() - startedAt) / 1000;
    // Never faster than the rate, but for the bucket's content; the slower side has a busy machine's room.
    const expected = (bytes * 8) / 16_000_000;
    expect(seconds).toBeGreaterThan(expected * 0.9);
    expect(seconds).toBeLessThan(expected * 4);
  });

  test.each([
    ['one', ['main'] as const],
    ['both', ['main', 'other'] as const],
  ])('hold a service on two segments to one rate, whether it uses %s', async (_how, used) => {
    const { resources } = serviceSpec('any');
    const network = { egressBps: 16_000_000, ingressBps: 64_000_000 };
    await up(
      member('alpha', [on('main'), on('other')], { resources: { ...resources, network } }),
      member('beta', [on('main')]),
      member('gamma', [on('other')]),
    );
    const peers = { main: 'beta', other: 'gamma' };
    const all = 4 * used.length * MIB;
    const bytes = all / used.length;
    for (const segment of used) listen(peers[segment], sinkOf(bytes), 99);
    for (const segment of used) {
      const probe = (): boolean =>
        inside('alpha', 'nc', '-w', '1', address(peers[segment], segment), '99').status === 0;
      await until(probe, { what: 'the sink' });
    }
    const startedAt = performance.now();
    const told = await Promise.all(
      used.map((segment) => send('alpha', bytes, address(peers[segment], segment))),
    );
    const seconds = (performance.now() - startedAt) / 1000;
    expect(told).toEqual(used.map(() => 'all'));
    const expected = (all * 8) / 16_000_000;
    // Over both, what one second holds may go beyond; without the sum they would take half of the time.
    expect(seconds).toBeGreaterThan(used.length === 1 ? expected * 0.9 : expected - 1.2);
    expect(seconds).toBeLessThan(expected * (used.length === 1 ? 1.8 : 4));
    expect(await networks.repair()).toEqual([]);
  });

  test('tell soon when somebody else takes the rules away, and not when they change them themselves', async () => {
    let told = 0;
    const unwatch = networks.watch(() => {
      told += 1;
    });
    try {
      await up(member('alpha', [on('main')]), member('beta', [on('other')]));
      expect(ourMonitors()).toHaveLength(1);
      run('nft', ['delete', 'rule', 'inet', owned.table, 'forward', 'handle', lastHandle('forward')]);
      await until(() => told === 1, { timeoutMs: 2_000, what: 'the news' });
      expect(await networks.repair()).toEqual(['rules']);
      // A monitor that was killed may have missed something, and is there again after the next look.
      process.kill(Number(ourMonitors()[0]), 'SIGKILL');
      await until(() => ourMonitors().length === 0, { what: 'the end of the monitor' });
      expect(await networks.repair()).toEqual([]);
      run('nft', ['delete', 'table', 'inet', owned.table]);
      await until(() => told === 2, { timeoutMs: 2_000, what: 'the news' });
      expect(await networks.repair()).toEqual(['rules']);
    } finally {
      unwatch();
    }
  });

  describe('repaired', () => {
    test('hold again after the rules, a bridge, a rate and the name service were taken away', async () => {
      const { resources } = serviceSpec('any');
      const limited = { resources: { ...resources, network: { ingressBps: 8_000_000 } } };
      await up(member('alpha', [on('main')], limited), member('beta', [on('other')]));
      expect(await networks.repair()).toEqual([]);
      run('nft', ['delete', 'table', 'inet', owned.table]);
      expect(await networks.repair()).toEqual(['rules']);
      run('nft', ['flush', 'chain', 'inet', owned.table, 'forward']);
      expect(await networks.repair()).toEqual(['rules']);
      const veth = [...presentLinks(owned)].filter((name) => name.startsWith(`${owned.prefix}v`));
      for (const name of veth) spawnSync('tc', ['qdisc', 'del', 'dev', name, 'root']);
      expect(await networks.repair()).toEqual(['rate of alpha']);
      run('ip', ['link', 'del', [...presentLinks(owned)].find((name) => name.includes('-')) ?? '']);
      expect((await networks.repair())[0]).toMatch(/^segment (main|other)$/);
      for (const pid of nameServers()) process.kill(Number(pid), 'SIGKILL');
      await until(() => nameServers().length === 0, { what: 'the end of the name service' });
      expect(await networks.repair()).toEqual(['name service']);
      expect(lookUp('alpha', 'alpha')).toBe(address('alpha', 'main'));
      expect(await networks.repair()).toEqual([]);
      expect(inside('alpha', 'ping', '-c', '1', '-W', '1', address('beta', 'other')).status).not.toBe(0);
    });

    test('wire a running service again whose link was deleted', async () => {
      await up(member('alpha', [on('main')]), member('beta', [on('main')]));
      const before = address('alpha', 'main');
      run('ip', ['link', 'del', [...presentLinks(owned)].find((name) => name.includes('v')) ?? '']);
      expect(await networks.repair()).toHaveLength(1);
      expect(address('alpha', 'main')).toBe(before);
      await until(() => inside('alpha', 'ping', '-c', '1', '-W', '1', address('beta', 'main')).status === 0);
    });
  });

  test('an agent that comes back finds what runs as it was, names and all', async () => {
    const specs = [member('alpha', [on('main')]), member('beta', [on('main')])];
    await up(...specs);
    serve('beta', 80, 'hello');
    const [before, servers] = [address('beta', 'main'), nameServers()];
    networks = new KernelNetworks({ instance, runDir });
    await networks.prepare(specs);
    await networks.attach(specs[1] as ServiceSpec);
    expect(address('beta', 'main')).toBe(before);
    expect(nameServers()).toEqual(servers);
    await until(() => ask('alpha', before, 80) === 'hello', { what: 'an answer' });
  });

  test('a service that runs stays wired while the release no longer holds it, and goes when it is detached', async () => {
    const [alpha, beta] = [member('alpha', [on('main')]), member('beta', [on('other')])];
    await up(alpha, beta);
    serve('beta', 80, 'hello');
    const at = address('beta', 'other');
    await until(() => hostAsks(at, 80) === 'hello', { what: 'the server' });
    await networks.prepare([alpha]);
    expect(hostAsks(at, 80)).toBe('hello');
    await networks.detach('beta');
    await networks.detach('beta');
    expect(networks.observe('beta')).toBeUndefined();
    expect(hostAsks(at, 80)).toBe('');
    expect([...presentLinks(owned)]).toHaveLength(2);
  });

  test.each([0, 1, 2, 3])('an attach that was killed after %i steps is done anew', async (steps) => {
    const [alpha, beta] = [member('alpha', [on('main'), on('other')]), member('beta', [on('main')])];
    await up(beta);
    // What the killed agent had done: the state, then the first lines of the batch.
    const file = join(runDir, 'network/.state.json');
    const state = planAttach(readState(file), alpha, groundFor(instance, owned));
    replaceFile(file, JSON.stringify(state));
    const batch = attachBatch(owned, state, 'alpha', new Set(), false).split('\n').slice(0, steps).join('\n');
    spawnSync('ip', ['-batch', '-'], { input: `${batch}\n` });
    networks = new KernelNetworks({ instance, runDir });
    if (steps % 2 === 0) await networks.prepare([alpha, beta]);
    await networks.attach(alpha);
    expect(inside('alpha', 'ping', '-c', '1', '-W', '1', address('beta', 'main')).status).toBe(0);
    expect(lookUp('alpha', 'beta')).toBe(address('beta', 'main'));
  });

  test('leave what is of others alone', async () => {
    const other = `x${instance}`;
    const foreign = { bridge: `${owned.prefix}-999`, table: `foreign_${process.pid}` };
    run('ip', ['link', 'add', foreign.bridge, 'type', 'bridge']);
    run('nft', ['add', 'table', 'inet', foreign.table]);
    const otherDir = mkdtempSync(join(tmpdir(), 'wherry-networks-'));
    const neighbour = new KernelNetworks({ instance: other, runDir: otherDir });
    try {
      await neighbour.prepare([member('alpha', [on('main')])]);
      await neighbour.attach(member('alpha', [on('main')]));
      await up(member('alpha', [on('main')]));
      expect(
        inside('alpha', 'ping', '-c', '1', '-W', '1', neighbour.observe('alpha')?.addresses['main'] ?? '')
          .status,
      ).not.toBe(0);
      await networks.destroy();
      await networks.destroy();
      expect(traces()).toEqual([]);
      expect(existsSync(`/sys/class/net/${foreign.bridge}`)).toBe(true);
      expect(run('nft', ['list', 'tables'])).toContain(foreign.table);
      expect(await neighbour.repair()).toEqual([]);
    } finally {
      await neighbour.destroy();
      rmSync(otherDir, { recursive: true, force: true });
      run('ip', ['link', 'del', foreign.bridge]);
      run('nft', ['delete', 'table', 'inet', foreign.table]);
    }
  });
});
