import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../scripts/setup.mjs';

export const HELP = `Usage: npm start -- [--port PORT] [--data FOLDER]

Runs a fleet server and one device on this machine.

  --port PORT    web UI and REST on PORT, device enrolment on PORT+1, MQTT on PORT+2 (default 7440)
  --data FOLDER  where everything is kept (default .wherry/demo); delete it to start anew
  --help         this text
`;

export interface DemoOptions {
  port: number;
  dataDir: string;
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
  const dataDir = resolve(values.data ?? join(ROOT, '.wherry/demo'));
  return {
    port,
    dataDir,
    instance: `demo-${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`,
  };
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: { port: { type: 'string' }, data: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new UsageError(
      `Cannot read the arguments: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`,
    );
  }
}
