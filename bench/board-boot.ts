// From power to an agent that is ready, on an emulated board, against a stock Debian arm64 that boots to multi-user in
// the same emulator. The two take turns; the first boot of each, with what it sets up, is not counted.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBoard } from '../boards/builder/build-board.ts';
import { EmulatedBoard } from '../boards/emulator/emulated-board.ts';
import { HOST_ADDRESS } from '../boards/emulator/qemu-arguments.ts';
import { buildAgent } from '../scripts/build.ts';
import { ROOT } from '../scripts/setup.mjs';
import { enrolmentFiles } from '../test/support/enrolment-files.ts';
import { TestFleet } from '../test/support/fleet-server.ts';
import { makeSigner } from '../test/support/signed-release.ts';
import { until } from '../test/support/until.ts';
import { type Bench, median, round } from './bench.ts';
import { bootStock, prepareStock, stockDebian } from './stock-debian/stock-debian.ts';

const BOARD = 'qemu-virt';
const DEVICE = 'boot-bench';
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const MACHINE = { cpus: 2, memoryMib: 1024 };
const BOOT_MS = 900_000;
const IDENTITY = '/var/lib/wherry/identity/identity.json';

/** Milliseconds from power on until systemd took the agent's word that it is ready, by the board's own clock. */
async function bootToAgent(board: EmulatedBoard): Promise<number> {
  const begin = performance.now();
  await board.boot({ timeoutMs: BOOT_MS });
  const readyMs = await until(
    async () => {
      const look =
        'systemctl show -p ActiveEnterTimestampMonotonic --value wherry-agent; cut -d " " -f 1 /proc/uptime';
      const [entered = '0', uptime = '0'] = (await board.run(look)).output.split('\n');
      const sinceMs = Number(uptime) * 1000 - Number(entered) / 1000;
      return Number(entered) > 0 && performance.now() - sinceMs - begin;
    },
    { timeoutMs: BOOT_MS, what: 'the agent to be ready' },
  );
  await board.run('sync');
  return readyMs;
}

/** A board that has enrolled, and has no more to set up. */
async function enrolledBoard(dir: string, fleet: TestFleet): Promise<EmulatedBoard> {
  await buildAgent(console.log);
  const built = await buildBoard({ board: BOARD, variant: 'development', onProgress: console.log });
  const { rootText } = makeSigner((await fleet.api('GET', '/repository')).body);
  const firmwareFiles = await enrolmentFiles(fleet, DEVICE, rootText);
  const board = await EmulatedBoard.create({ built, dir, firmwareFiles, spareMib: 512, ...MACHINE });
  await board.boot({ timeoutMs: BOOT_MS });
  const isSettled = `[ -e ${IDENTITY} ] && systemctl is-active wherry-agent && ! grep -q '"join"' /etc/wherry/agent.json`;
  await until(async () => (await board.run(isSettled)).exitCode === 0, {
    timeoutMs: BOOT_MS,
    what: 'the board to enrol',
  });
  await board.run('sync');
  return board;
}

const row = (samples: number[]) => ({
  'median s': round(median(samples) / 1000),
  'min s': round(Math.min(...samples) / 1000),
  'max s': round(Math.max(...samples) / 1000),
});

export const bench: Bench = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'wherry-boot-'));
  const fleet = await TestFleet.start({ publicHost: HOST_ADDRESS });
  let board: EmulatedBoard | undefined;
  try {
    const stock = await stockDebian(join(ROOT, 'boards/.build'), console.log);
    board = await enrolledBoard(join(dir, 'wherry'), fleet);
    await board.cutPower();
    const { emulator } = (await buildBoard({ board: BOARD, variant: 'development' })).config;
    if (!emulator) throw new Error(`Cannot boot a stock Debian as ${BOARD} is: it is not emulated`);
    const machine = { stock, emulator, dir: join(dir, 'debian'), ...MACHINE };
    await prepareStock(machine);
    await bootStock(machine, BOOT_MS);
    const took = { wherry: [] as number[], debian: [] as number[] };
    for (let turn = 0; turn < ROUNDS; turn++) {
      took.wherry.push(await bootToAgent(board));
      await board.cutPower();
      took.debian.push(await bootStock(machine, BOOT_MS));
    }
    return {
      rows: { 'Wherry, to agent ready': row(took.wherry), 'stock Debian, to multi-user': row(took.debian) },
      metrics: {
        agent_ready_s: round(median(took.wherry) / 1000),
        debian_multi_user_s: round(median(took.debian) / 1000),
        ratio_vs_debian: round(median(took.wherry) / median(took.debian)),
        boots: ROUNDS,
      },
    };
  } finally {
    await board?.cutPower();
    await fleet.close();
    await rm(dir, { recursive: true, force: true });
  }
};
