import { LOCAL_API_LIMITS } from '../../local-api/limits.ts';
import type { LogLine } from '../../local-api/ports.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { printable } from '../core/layout.ts';
import { EXIT } from '../exit-codes.ts';
import { timestamp } from '../timestamp.ts';
import { DOWN, linesOrKept } from '../without-agent.ts';

export const logs: Command = {
  name: 'logs',
  summary: 'what a service wrote; -f follows',
  description:
    'Prints what a service wrote, oldest first, each line with its time in UTC. On a terminal the lines of ' +
    'its stderr are coloured and control characters are left out. With --json one document per line. ' +
    'Without the agent it reads what is on the disk, and ends with 3.',
  operands: ['service'],
  options: {
    follow: { type: 'boolean', short: 'f', help: 'go on with new lines until Ctrl-C' },
    lines: {
      type: 'string',
      short: 'n',
      value: 'N',
      help: `start with the last N lines, 0 to ${LOCAL_API_LIMITS.tailLines} (default: ${LOCAL_API_LIMITS.defaultTailLines})`,
    },
  },
  examples: [
    { command: 'wherry logs sensor', what: 'the last lines' },
    { command: 'wherry logs sensor -f -n 0', what: 'only what comes from now on' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { operands, options, print, isJson, io, paint } = call;
  const { lines, cameFromDisk } = linesOrKept(call, operands[0] ?? '', {
    tail: tailOf(options['lines']),
    follow: options['follow'] === true,
  });
  const text = ({ at, stream, text }: LogLine) => {
    const shown = io.isTTY ? printable(text) : text;
    return `${paint.dim(timestamp(at))} ${stream === 'stderr' ? paint.warn(shown) : shown}`;
  };
  for await (const line of lines) await print([isJson ? JSON.stringify(line) : text(line)]);
  return cameFromDisk() ? DOWN : EXIT.ok;
}

function tailOf(given: string | boolean | undefined): number {
  if (given === undefined) return LOCAL_API_LIMITS.defaultTailLines;
  const count = /^\d{1,6}$/.test(String(given)) ? Number(given) : Number.NaN;
  if (count <= LOCAL_API_LIMITS.tailLines) return count;
  throw usage(
    `Cannot read -n ${given}: wanted a number of lines from 0 to ${LOCAL_API_LIMITS.tailLines}`,
    logs,
  );
}
