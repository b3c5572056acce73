import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFatFile } from '../../boards/fat.ts';
import { PARTITIONS, SECTOR } from '../../boards/layout.ts';
import { readOptions } from '../../demo/options.ts';
import { ServerClient } from '../../demo/server-client.ts';
import { run } from '../../images/run.ts';
import { Demo } from '../support/demo.ts';
import { tracesOf } from '../support/machine.ts';
import { until } from '../support/until.ts';

const PORT = 17_540;
const BOARD = 'qemu-virt';
/** An emulated processor on a busy machine. */
const UP_MS = 2_400_000;
const MIB = 1024 ** 2;

const dataDir = await mkdtemp(join(tmpdir(), 'wherry-demo-board-'));
const start = (): Demo => new Demo(PORT, dataDir, ['--board', BOARD]);
const options = readOptions(['--data', dataDir, '--board', BOARD]);
const processes = (): string[] => tracesOf(options === 'help' ? '' : options.instance, dataDir).processes;
let demo: Demo;

async function signedIn(): Promise<ServerClient> {
  const client = new ServerClient(demo.url);
  await client.signIn('admin', demo.password);
  return client;
}

beforeAll(async () => {
  demo = start();
  await demo.ready(UP_MS);
}, UP_MS);

afterAll(async () => {
  if (demo.child.exitCode === null) await demo.terminate();
  rmSync(dataDir, { recursive: true, force: true });
}, 120_000);

describe('npm start -- --board qemu-virt', () => {
  test('the board enrolled from its first partition, and runs the arm64 release that came over MQTT', async () => {
    const client = await signedIn();
    const [device] = await client.devices();
    expect(device).toMatchObject({
      id: `demo-${BOARD}`,
      isOnline: true,
      current: { name: 'demo', version: '1.0.0' },
      services: { total: 3, running: 3 },
    });
    const { report, board, platform } = await client.device(device?.id ?? '');
    expect({ board, platform }).toEqual({ board: BOARD, platform: 'linux/arm64' });
    expect(report?.services.every(({ usage }) => (usage?.memoryBytes ?? 0) > MIB)).toBe(true);
    expect(demo.output).toContain('running');
  });

  test('once it is enrolled the join secret is gone from the card, and the rest is still there', async () => {
    const { stopped } = await off();
    expect(stopped).toBe(0);
    const flat = join(dataDir, 'flat.img');
    await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', join(dataDir, 'board/1/disk.qcow2'), flat]);
    const card = await readFatFile(flat, 'wherry.json', PARTITIONS.firmware.start * SECTOR);
    rmSync(flat);
    expect(JSON.parse(String(card))).toEqual({ name: `demo-${BOARD}` });
  });

  test('nothing of it is left on the machine', () => {
    expect(processes()).toEqual([]);
    expect(existsSync(join(dataDir, 'demo.pid'))).toBe(false);
  });

  test(
    'the second start goes on where the first ended, and takes version 2 with only what is lacking',
    async () => {
      demo = start();
      await demo.ready(UP_MS);
      expect(demo.output).not.toContain('Rolling out');
      const client = await signedIn();
      const [device] = await client.devices();
      expect(device).toMatchObject({ id: `demo-${BOARD}`, current: { version: '1.0.0' } });
      const release = (await client.releases()).find(({ version }) => version === '2.0.0');
      const { id } = await client.startRollout(release?.id ?? '', [device?.id ?? '']);
      const ended = await until(
        async () => {
          const now = await client.rollout(id);
          return now.state === 'completed' && now;
        },
        { timeoutMs: 400_000, what: 'the rollout to complete' },
      );
      expect(ended.attempts[0]).toMatchObject({ state: 'committed' });
      const { report } = await client.device(device?.id ?? '');
      expect(report?.update.progress?.totalBytes).toBeLessThan(MIB);
    },
    UP_MS,
  );

  test('kill -9 of the demo takes the board with it', async () => {
    process.kill(Number(readFileSync(join(dataDir, 'demo.pid'), 'utf8')), 'SIGKILL');
    await until(() => processes().length === 0, { timeoutMs: 90_000, what: 'the last process to end' });
    expect(processes()).toEqual([]);
  });
});

/** Ctrl-C, once the board has written what it learned. */
async function off(): Promise<{ stopped: number | null }> {
  const console = join(dataDir, 'board/1/console.log');
  await until(() => readFileSync(console, 'utf8').includes('took the join secret out'), {
    timeoutMs: 120_000,
    what: 'the board to forget the join secret',
  });
  return { stopped: await demo.interrupt() };
}
