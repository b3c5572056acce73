import { type FileHandle, open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatBytes, parseBytes } from '../../../protocol/quantities.ts';
import { BUNDLE_LIMITS } from '../../diagnostics/bundle/limits.ts';
import { findConfig } from '../agent-config.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { CliError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { write } from '../io.ts';
import { timestamp } from '../timestamp.ts';
import { whoAsks } from '../who-asks.ts';

export const supportBundle: Command = {
  name: 'support-bundle',
  summary: 'one text file about this device, without its secrets',
  description:
    'Writes what others need to help: doctor, status, events, update history, configuration, logs, post-mortems, ' +
    'kernel log, network, mounts, cgroups. Plain text of bounded size; secrets of the device and what looks like one ' +
    'are taken out. Needs root, and no agent.',
  operands: [],
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'a new file, or - for standard output (default: wherry-support-<time>.txt)',
    },
    'max-size': {
      type: 'string',
      value: 'SIZE',
      help: `such as 512KiB; default: ${formatBytes(BUNDLE_LIMITS.defaultBytes).replace(' ', '')}`,
    },
  },
  examples: [
    { command: 'sudo wherry support-bundle', what: 'a file in this folder' },
    { command: 'sudo wherry support-bundle -o - | less', what: 'read what would be given away' },
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const { io, options, isJson, printJson, print, field } = call;
  const maxBytes = sizeOf(options['max-size']);
  const output = String(options['output'] ?? nameAt(io.now()));
  if (output === '-' && isJson)
    throw usage('Cannot take both --json and -o -: each wants standard output', supportBundle);
  const { file: configFile } = await findConfig(call);
  const pieces = field.bundle({ configFile, maxBytes, who: whoAsks(io.env), signal: io.signal });
  if (output === '-') {
    await each(pieces, (piece) => write(io.stdout, piece));
    return EXIT.ok;
  }
  const file = resolve(output);
  const bytes = await keep(file, pieces);
  if (isJson) await printJson({ file, bytes });
  else await print([`${file} (${formatBytes(bytes)})`]);
  return EXIT.ok;
}

function sizeOf(given: string | boolean | undefined): number {
  if (given === undefined) return BUNDLE_LIMITS.defaultBytes;
  const bytes = parseBytes(String(given));
  const { minBytes, maxBytes } = BUNDLE_LIMITS;
  if (bytes !== undefined && bytes >= minBytes && bytes <= maxBytes) return bytes;
  const range = `${formatBytes(minBytes)} to ${formatBytes(maxBytes)}`;
  throw usage(`Cannot read --max-size ${given}: wanted a size such as 512KiB, ${range}`, supportBundle);
}

/** "wherry-support-20261121T100000Z.txt" */
const nameAt = (now: number): string =>
  `wherry-support-${timestamp(now).slice(0, 19).replaceAll(/[-:]/g, '')}Z.txt`;

/** In a new file that only its owner reads; nothing is left of one that could not be finished. */
async function keep(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let file: FileHandle;
  try {
    file = await open(path, 'wx', 0o600);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'it is there already; name another with -o' : message;
    throw new CliError('no-bundle', `Cannot write ${path}: ${why}`, [], cause);
  }
  try {
    const bytes = await each(pieces, async (piece) => void (await file.write(piece)));
    await file.close();
    return bytes;
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
}

async function each(
  pieces: AsyncIterable<Uint8Array>,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<number> {
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      bytes += piece.length;
      await take(piece);
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EPIPE' || cause instanceof CliError) throw cause;
    throw new CliError('no-bundle', cause instanceof Error ? cause.message : String(cause), [], cause);
  }
  return bytes;
}
