import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseBytes } from '../protocol/quantities.ts';
import { loadBoards } from '../release/boards.ts';
import { columns, type Invocation, print } from '../release/cli-io.ts';
import { ReleaseError } from '../release/errors.ts';
import { builtBoard, VARIANT_HELP } from './cli-build.ts';
import { FIRMWARE_OPTIONS_HELP, type GivenFirmware, givenFirmware } from './cli-firmware-files.ts';
import { BOARD_CONFIGS } from './cli-list.ts';
import { EmulatedBoard } from './emulator/emulated-board.ts';
import type { Forward } from './emulator/qemu-arguments.ts';
import type { FatFiles } from './fat.ts';

export const RUN_HELP = `Usage: wherry board run BOARD [--count N] [--wherry-json FILE --root FILE] [--forward HOST:BOARD …]

Emulates boards until Ctrl-C. Each has a disk of its own over one image that all share; the disk is kept, so that the
same command goes on where it ended. A newer image begins anew. The boards reach ports of this machine's loopback
interface at 10.0.2.2.

  --count N           how many (default 1); with several, a number is added to each one's name
${FIRMWARE_OPTIONS_HELP}  --forward H:B       port H of this machine's loopback leads to port B of the board; H+1 of the second, and so on
  --dir FOLDER        disks and consoles, a folder for each board (default .wherry/boards/BOARD)
${VARIANT_HELP}  --json              print the result as JSON
`;

const SPARE_MIB = 1024;
const MOST = 64;
const OFF_GRACE_MS = 40_000;
const MIB = 1024 ** 2;

export async function runRun(invocation: Invocation): Promise<number> {
  const { operands, values, io } = invocation;
  const [name = ''] = operands;
  const count = countOf(values['count'] ?? '1');
  const forwards = (invocation.lists['forward'] ?? []).map(forwardOf);
  const firmware = await givenFirmware(invocation);
  const base = resolve(values['dir'] ?? join('.wherry/boards', name));
  const built = await builtBoard(invocation, name);
  const size = await sizeOf(name);
  const boards: EmulatedBoard[] = [];
  try {
    const rows: { number: number; console: string; forwards: Forward[] }[] = [];
    for (let number = 1; number <= count; number++) {
      const own = forwards.map(({ hostPort, boardPort }) => ({ hostPort: hostPort + number - 1, boardPort }));
      for (const { hostPort } of own) await requireFree(hostPort);
      const firmwareFiles = firmware && filesOf(firmware, number, count);
      const dir = join(base, String(number));
      const options = { built, dir, spareMib: SPARE_MIB, forwards: own, ...size };
      const board = await EmulatedBoard.resume({ ...options, ...(firmwareFiles && { firmwareFiles }) });
      boards.push(board);
      await board.powerOn();
      rows.push({ number, console: board.consoleFile, forwards: own });
    }
    print(invocation, { board: name, boards: rows }, [
      ...columns([
        ['BOARD', 'CONSOLE', 'PORTS'],
        ...rows.map(({ number, console, forwards }) => [
          `${name} ${number}`,
          console,
          forwards.map(({ hostPort, boardPort }) => `${hostPort}:${boardPort}`).join(' ') || '-',
        ]),
      ]),
      ...(count > 1 && !isMerging() ? [KSM_HINT] : []),
      'Ctrl-C turns them off',
    ]);
    return await untilOff(boards, io.signal);
  } finally {
    await Promise.all(boards.map((board) => board.powerOff(OFF_GRACE_MS)));
  }
}

async function sizeOf(name: string): Promise<{ cpus: number; memoryMib: number }> {
  const board = (await loadBoards(BOARD_CONFIGS)).find((each) => each.name === name);
  return { cpus: board?.cpus ?? 1, memoryMib: (parseBytes(board?.memory ?? '') ?? 0) / MIB };
}

/** 0 when somebody ended it; 1 when the last board went off by itself. */
async function untilOff(boards: readonly EmulatedBoard[], signal: AbortSignal | undefined): Promise<number> {
  const stopped = new Promise<number>((done) => {
    if (signal?.aborted) done(0);
    signal?.addEventListener('abort', () => done(0), { once: true });
  });
  const allOff = Promise.all(boards.map((board) => board.whenOff())).then(() => 1);
  return Promise.race([stopped, allOff]);
}

/** Several boards must not ask for one id. */
function filesOf({ wishes, files }: GivenFirmware, number: number, count: number): FatFiles {
  if (count === 1) return files;
  const own = { ...wishes, name: `${wishes.name}-${number}` };
  return { ...files, 'wherry.json': Buffer.from(JSON.stringify(own)) };
}

const KSM_HINT =
  'Memory that they hold alike is not shared: echo 1 > /sys/kernel/mm/ksm/run has the kernel merge it (KSM)';

function isMerging(): boolean {
  const file = '/sys/kernel/mm/ksm/run';
  return existsSync(file) && readFileSync(file, 'utf8').trim() === '1';
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST) return count;
  throw new ReleaseError('usage', `Cannot use --count ${text}: it is not a number from 1 to ${MOST}`);
}

const isPort = (port: number): boolean => port > 0 && port < 65_536;

export function forwardOf(text: string): Forward {
  const [hostPort = 0, boardPort = 0] = /^[0-9]+:[0-9]+$/.test(text) ? text.split(':').map(Number) : [];
  if (isPort(hostPort) && isPort(boardPort)) return { hostPort, boardPort };
  throw new ReleaseError(
    'usage',
    `Cannot use --forward ${text}: wanted a port of this machine, a colon, a port of the board`,
  );
}

function requireFree(port: number): Promise<void> {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.once('error', (cause) =>
      fail(
        new ReleaseError('tool', `Cannot forward port ${port}: it is in use; give another one`, { cause }),
      ),
    );
    probe.listen(port, '127.0.0.1', () => probe.close(() => done()));
  });
}
