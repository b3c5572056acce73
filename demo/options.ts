import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../scripts/setup.mjs';

export const HELP = `Usage: npm start -- [--port PORT] [--data FOLDER] [--board BOARD]

Runs a fleet server and one device on this machine, or an emulated board in its place.

  --port PORT    web UI and REST on PORT, device enrolment on PORT+1, MQTT on PORT+2 (default 7440)
  --data FOLDER  where everything is kept (default .wherry/demo); delete it to start anew
  --board BOARD  an emulated board as the device: qemu-virt (then the default folder is .wherry/demo-qemu-virt)
  --help         this text
`;

/** The board that QEMU can be. */
const EMULATED = 'qemu-virt';

export interface DemoOptions {
  port: number;
  dataDir: string;
  /** The board to emulate; undefined: the device is an agent on this machine. */
  board: string | undefined;
  /** Names this demo's cgroups, containers and run folder, so that two data folders never meet. */
  instance: string;
}

export class UsageError extends Error {}

export function readOptions(argv: string[]): DemoOptions | 'help' {
  const { values } = parse(argv);
  if (values.help) return 'help';
  const port = Number(values.port ?? 7440);
  if (!Number.isInteger(port) || port < 1 || port > 65533) {
    throw new UsageError(
      `Cannot use --port ${values.port}: it is not a port; give a whole number from 1 to 65533`,
    );
  }
  const { board } = values;
  if (board !== undefined && board !== EMULATED)
    throw new UsageError(`Cannot use --board ${board}: it is not emulated here; give ${EMULATED}`);
  const folder = board === undefined ? '.wherry/demo' : `.wherry/demo-${board}`;
  const dataDir = resolve(values.data ?? join(ROOT, folder));
  return {
    port,
    dataDir,
    board,
    instance: `demo-${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`,
  };
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        port: { type: 'string' },
        data: { type: 'string' },
        board: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(
      `Cannot read the arguments: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`,
    );
  }
}
