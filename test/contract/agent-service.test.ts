import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AgentConfig } from '../../agent/config.ts';
import { ServiceManager, takeManager } from '../../agent/service-manager/notify.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { buildAgent } from '../../scripts/build.ts';
import { ROOT } from '../../scripts/setup.mjs';
import { TestFleet } from '../support/fleet-server.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

const RECEIVER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`;

/** What a service manager hears on its socket; BARRIER is systemd-notify's own way to wait for its reading. */
async function receiver(socket: string) {
  const child = spawn('python3', ['-c', RECEIVER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await until(() => text.includes('bound'), { what: 'the receiver' });
  return {
    heard: () =>
      text
        .split('\n')
        .slice(1, -1)
        .filter((line) => line !== 'BARRIER=1'),
    close: () => child.kill('SIGKILL'),
  };
}

describe('under a service manager', () => {
  let dir: string;
  let socket: string;
  let ears: Awaited<ReturnType<typeof receiver>>;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'wherry-notify-'));
    socket = join(dir, 'notify');
    ears = await receiver(socket);
  });
  afterEach(() => {
    ears.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const managed = (isAlive: () => boolean, watchdogMs: number | undefined = 90): ServiceManager =>
    new ServiceManager({
      managedBy: { socket, watchdogMs },
      clock: systemClock,
      log: { info: () => undefined, warn: () => undefined },
      summary: () => '2 of 2 services running',
      isAlive,
    });

  test('it says when it is ready, that it lives and when it stops', async () => {
    const manager = managed(() => true);
    await manager.ready();
    await until(() => ears.heard().filter((line) => line.includes('WATCHDOG=1')).length > 2);
    await manager.stopping();
    expect(ears.heard()[0]).toBe('READY=1|STATUS=2 of 2 services running');
    expect(ears.heard().at(-1)).toContain('STOPPING=1');
  });

  test('a supervisor that hangs is not kept alive, and is again when it goes on', async () => {
    let isAlive = false;
    let asked = 0;
    const manager = managed(() => {
      asked += 1;
      return isAlive;
    });
    await manager.ready();
    await until(() => asked > 4, { what: 'five looks' });
    expect(ears.heard().some((line) => line.includes('WATCHDOG'))).toBe(false);
    isAlive = true;
    await until(() => ears.heard().some((line) => line.includes('WATCHDOG=1')));
    await manager.stopping();
  });

  test('what the manager said to the agent does not reach what the agent starts', () => {
    const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7', PATH: '/bin' };
    expect(takeManager(environment, 7)).toEqual({ socket, watchdogMs: 30_000 });
    expect(environment).toEqual({ PATH: '/bin' });
    expect(takeManager({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '5', WATCHDOG_PID: '8' }, 7)).toEqual({
      socket,
    });
    expect(takeManager({}, 7)).toBeUndefined();
  });

  test('the unit is one that systemd takes', () => {
    const unit = readFileSync(join(ROOT, 'packaging/wherry-agent.service'), 'utf8');
    const file = join(dir, 'wherry-agent.service');
    writeFileSync(file, unit.replaceAll('/opt/wherry', ROOT));
    const { output } = execVerify(file);
    expect(output).toBe('');
  });
});

function execVerify(file: string): { output: string } {
  return {
    output: execFileSync('sh', ['-c', 'systemd-analyze verify "$0" 2>&1', file], { encoding: 'utf8' }),
  };
}

describe('the agent comes and goes, its services stay', () => {
  let fleet: TestFleet;
  let publisher: Publisher;
  let base: Layer;
  let device: RealDevice;
  let number = 0;

  const configure = (change: Partial<AgentConfig>): void => {
    const file = join(device.dir, 'agent.json');
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...change }));
  };
  const state = (...names: string[]): string => join(device.dir, 'state', ...names);

  beforeAll(async () => {
    await buildAgent(() => {});
    fleet = await TestFleet.start();
    publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
    base = await busyboxLayer();
  }, 120_000);
  afterAll(() => fleet?.close());
  beforeEach(async () => {
    number += 1;
    device = await RealDevice.create(fleet, `service-${number}`, publisher.signer.rootText);
    configure({ onStop: 'keep-services' });
  });
  afterEach(async () => {
    configure({ onStop: 'stop-services' });
    await device.stop();
    await device.remove();
  }, 60_000);

  async function onRelease(): Promise<Record<string, number | undefined>> {
    await device.start();
    await until(async () => (await fleet.api('GET', `/devices/${device.id}`)).body.isOnline);
    const services = { one: { layers: [base] }, two: { layers: [base] } };
    const releaseId = await publisher.publish(serviceRelease(`${number}.0`, services));
    await fleet.api('POST', '/rollouts', { releaseId, devices: [device.id] });
    await device.phase('committed', 40_000);
    return device.pids();
  }
  const events = async (): Promise<string[]> =>
    (await fleet.api('GET', `/devices/${device.id}/events`)).body.items.map(
      ({ code }: { code: string }) => code,
    );

  test('stopped in order and started again, it finds the very same processes', async () => {
    const pids = await onRelease();
    await device.stop();
    await device.start();
    expect(await device.pids()).toEqual(pids);
    expect((await device.status()).services.map(({ restarts }) => restarts)).toEqual([0, 0]);
  });

  test('a service manager hears of it', async () => {
    const socket = join(device.dir, 'notify');
    const ears = await receiver(socket);
    try {
      Object.assign(process.env, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' });
      await device.start();
      takeManager(process.env, process.pid);
      await until(() => ears.heard().some((line) => line.includes('WATCHDOG=1')), {
        what: 'the watchdog to be fed',
      });
      await device.stop();
      expect(ears.heard()[0]).toMatch(/^READY=1\|STATUS=0 of 0 services running/);
      expect(ears.heard().at(-1)).toContain('STOPPING=1');
    } finally {
      ears.close();
    }
  });

  test.each<[string, () => void, string]>([
    ['is gone', () => renameSync(state('identity'), state('identity-away')), 'join string'],
    [
      'is unreadable',
      () => writeFileSync(state('identity/identity.json'), '{"v":1'),
      'Cannot read the identity',
    ],
    ['has lost its key', () => writeFileSync(state('identity/device.key'), ''), 'Cannot read the identity'],
  ])('without its identity, which %s, it runs its release', async (_what, spoil, detail) => {
    const pids = await onRelease();
    await device.kill();
    spoil();
    const { join: _used, ...config } = JSON.parse(readFileSync(join(device.dir, 'agent.json'), 'utf8'));
    writeFileSync(join(device.dir, 'agent.json'), JSON.stringify(config));
    await device.start();
    // The second look would stop what no release holds.
    await until(async () => (await device.status()).services.every(({ usage }) => usage !== undefined));
    const status = await device.status();
    expect(await device.pids()).toEqual(pids);
    expect(status.current?.version).toBe(`${number}.0`);
    expect(status.link).toMatchObject({ state: 'not-enrolled', detail: expect.stringContaining(detail) });
  });

  test('with a spoilt ledger it goes on with its release, says so, and is still assigned what it was', async () => {
    const pids = await onRelease();
    const { current } = await device.status();
    await device.kill();
    writeFileSync(state('ledger.db'), createHash('sha512').update('rubbish').digest());
    rmSync(state('ledger.db-wal'), { force: true });
    await device.start();
    expect(await device.pids()).toEqual(pids);
    expect((await device.status()).current).toEqual(current);
    await until(async () => (await events()).includes('agent.ledger-rebuilt'), {
      what: 'the event at the server',
    });
    expect((await device.status()).update.phase).toBe('committed');
  });

  test('on a full disk it goes on supervising, says so, and recovers', async () => {
    mkdirSync(state(), { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'wherry-test', state()]);
    try {
      const pids = await onRelease();
      const file = openSync(state('fill'), 'w');
      const fill = (): void => {
        for (;;) writeSync(file, Buffer.alloc(4096));
      };
      expect(fill).toThrow(/ENOSPC/);
      closeSync(file);
      await until(
        async () => {
          const pid = (await device.pids())['one'];
          // Between two starts there is none.
          if (pid !== undefined) execFileSync('kill', ['-KILL', String(pid)], { stdio: 'ignore' });
          return (await device.status()).health.faults?.[0]?.code === 'agent.disk-full';
        },
        { timeoutMs: 20_000, what: 'the fault to show' },
      ).catch((error: Error) => {
        throw new Error(`${error.message}: ${device.log.slice(-3_000)}`);
      });
      await until(async () => (await device.status()).services.every(({ state }) => state === 'running'), {
        what: 'service one to be started again',
        timeoutMs: 20_000,
      });
      expect((await device.pids())['two']).toBe(pids['two']);
      // A new agent on the full disk.
      await device.kill();
      await device.start();
      expect((await device.pids())['two']).toBe(pids['two']);
      rmSync(state('fill'));
      await until(async () => (await events()).includes('agent.disk-freed'), {
        timeoutMs: 20_000,
        what: 'recovery',
      });
      expect((await device.status()).health.faults).toBeUndefined();
    } finally {
      configure({ onStop: 'stop-services' });
      await device.stop();
      execFileSync('umount', ['-l', state()]);
      configure({ onStop: 'keep-services' });
    }
  });
});
