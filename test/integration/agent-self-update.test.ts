import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { buildAgent } from '../../scripts/build.ts';
import { TestFleet } from '../support/fleet-server.ts';
import { agentLayer, LaunchedDevice, withAgent } from '../support/launched-device.ts';
import { RealDevice } from '../support/real-device.ts';
import { busyboxLayer, type Layer, Publisher, serviceRelease } from '../support/service-release.ts';
import { makeSigner } from '../support/signed-release.ts';
import { until } from '../support/until.ts';

const SILENT_S = 6;
/** Its dials fail, and it waits for the server seconds where a real one waits minutes. */
const UNREACHING = (main: string): string => {
  const impatient = main
    .replace(/settleMs:[^,]+,/, 'settleMs:3e3,')
    .replace(/reachMs:[^,]+,/, 'reachMs:4e3,');
  if (impatient === main) throw new Error('The rules of the update are not where they were in the bundle');
  return `const {Socket}=require('node:net');require('node:tls').connect=()=>{const s=new Socket();
process.nextTick(()=>s.destroy(new Error('no way')));return s};${impatient}`;
};

const good = (main: string): string => main;

describe('a release that brings its agent', () => {
  const dir = mkdtempSync(join(tmpdir(), 'wherry-self-update-'));
  let fleet: TestFleet;
  let publisher: Publisher;
  let base: Layer;
  let real: RealDevice;
  let device: LaunchedDevice;
  let number = 0;

  beforeAll(async () => {
    await buildAgent(() => {});
    fleet = await TestFleet.start();
    publisher = new Publisher(fleet, makeSigner((await fleet.api('GET', '/repository')).body));
    base = await busyboxLayer();
  }, 120_000);
  afterAll(async () => {
    await fleet?.close();
    rmSync(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    number += 1;
    real = await RealDevice.create(fleet, `launched-${number}`, publisher.signer.rootText);
    const config = join(real.dir, 'agent.json');
    const text = JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), onStop: 'keep-services' });
    writeFileSync(config, text);
    device = await LaunchedDevice.create(real);
    await device.start(SILENT_S);
    await until(async () => (await fleet.api('GET', `/devices/${real.id}`)).body.isOnline);
  }, 60_000);
  afterEach(() => device.remove(), 60_000);

  const services = () => ({ one: { layers: [base] }, two: { layers: [base] } });
  const shelf = (): string[] =>
    readdirSync(join(real.dir, 'state/agent'))
      .filter((name) => name !== 'beat')
      .sort();

  async function deploy(version: string, change?: (main: string) => string): Promise<void> {
    const plain = serviceRelease(`${number}.${version}`, services());
    const brings = change && `9.${number}.${version}`;
    const release =
      brings === undefined ? plain : withAgent(plain, brings, [await agentLayer(dir, brings, change)]);
    const releaseId = await publisher.publish(release);
    await fleet.api('POST', '/rollouts', { releaseId, devices: [real.id] });
  }
  async function settled(phase: 'committed' | 'rolled_back', version: string): Promise<void> {
    await until(
      async () => {
        const status = await real.status().catch(() => undefined);
        return status?.update.phase === phase && status.update.release?.version === `${number}.${version}`;
      },
      { timeoutMs: 180_000, what: `${version} to be ${phase}` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it has ${shelf()}\n${real.log.slice(-4_000)}`);
    });
  }

  test('runs it, and by hand goes back to the agent before; no service is stopped', async () => {
    await deploy('1');
    await settled('committed', '1');
    const pids = await real.pids();
    await deploy('2', good);
    await settled('committed', '2');
    expect(await device.running()).toBe(`9.${number}.2`);
    expect(shelf()).toEqual([expect.stringMatching(/^9\./), 'current']);
    expect(await real.pids()).toEqual(pids);
    await real.cli('update', 'rollback');
    await settled('rolled_back', '2');
    expect(await device.running()).toBe('shipped');
    expect(await real.pids()).toEqual(pids);
  }, 420_000);

  test.each<[string, (main: string) => string, string]>([
    ['ends at once', () => 'process.exit(3)', 'did not become healthy'],
    ['hangs', () => 'setInterval(() => {}, 1000)', 'did not become healthy'],
    ['never reaches the server', UNREACHING, 'the server has not been reached'],
  ])(
    'falls back from an agent that %s, with the whole release; no service is stopped',
    async (_what, bad, why) => {
      await deploy('1');
      await settled('committed', '1');
      const pids = await real.pids();
      await deploy('2', bad);
      await settled('rolled_back', '2');
      expect(await device.running()).toBe('shipped');
      const status = await real.status();
      expect(status.current?.version).toBe(`${number}.1`);
      expect(status.update.reason?.message).toContain(why);
      expect(await real.pids()).toEqual(pids);
      expect(status.services.map(({ restarts }) => restarts)).toEqual([0, 0]);
      await until(
        async () =>
          (await fleet.api('GET', `/devices/${real.id}/events`)).body.items.some(
            ({ code }: { code: string }) => code === 'update.rolled-back',
          ),
        { what: 'the server to hear of it' },
      );
    },
    240_000,
  );

  test('killed in each phase it has one agent and one release in the end', async () => {
    await deploy('1');
    await settled('committed', '1');
    const pids = await real.pids();
    await deploy('2', good);
    const killed = new Set<string>();
    await until(
      async () => {
        const status = await real.status().catch(() => undefined);
        const phase = status?.update.phase ?? 'none';
        if (phase === 'committed' && status?.current?.version === `${number}.2`) return true;
        if (status && !['none', 'committed'].includes(phase) && !killed.has(phase)) {
          killed.add(phase);
          process.kill(status.agent.pid, 'SIGKILL');
        }
        return false;
      },
      { timeoutMs: 180_000, what: 'release 2' },
    );
    console.log(`killed in: ${[...killed].join(', ')}`);
    expect([...killed]).toEqual(expect.arrayContaining(['fetching']));
    expect(await device.running()).toBe(`9.${number}.2`);
    expect(await real.pids()).toEqual(pids);
  }, 420_000);
});
