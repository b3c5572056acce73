import { constants } from 'node:fs';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatBytes } from '../protocol/quantities.ts';
import { columns, type Invocation, print, progress } from '../release/cli-io.ts';
import { ReleaseError } from '../release/errors.ts';
import { buildForDevice } from '../scripts/build.ts';
import { type BuiltBoard, buildBoard, compressedImage } from './builder/build-board.ts';

export const VARIANT_HELP = `  --variant VARIANT   production (default), or development: a shell on the serial line, a port for commands
`;

export const BUILD_HELP = `Usage: wherry board build BOARD [--variant development] [--out FOLDER]

Builds the image of a board: Debian's arm64 packages, the agent, Node. Runs nothing of theirs. What has not changed is
not made again.

${VARIANT_HELP}  -o, --out FOLDER    also put the files there: the image to flash, what a release brings of a system, the SPDX list
  --json              print the result as JSON
`;

export async function runBuild(invocation: Invocation): Promise<number> {
  const { operands, values } = invocation;
  const built = await builtBoard(invocation, operands[0] ?? '');
  const image = await compressedImage(built, undefined, (line) => progress(invocation, line));
  const made = { image, boot: built.boot, root: built.root, packages: built.manifest };
  const files = values['out'] === undefined ? made : await copied(made, values['out']);
  const rows = await Promise.all(
    Object.entries(files).map(async ([what, file]) => [what, file, formatBytes((await stat(file)).size)]),
  );
  const { board, variant } = built;
  print(invocation, { board, variant, ...files }, [`Built ${board}, ${variant}`, ...columns(rows)]);
  return 0;
}

/** The board's files, built where they are not or are older than their sources. */
export async function builtBoard(invocation: Invocation, board: string): Promise<BuiltBoard> {
  const variant = variantOf(invocation);
  const onProgress = (line: string): void => progress(invocation, line);
  await buildForDevice(onProgress);
  return buildBoard({ board, variant, onProgress });
}

function variantOf({ values }: Invocation): BuiltBoard['variant'] {
  const { variant = 'production' } = values;
  if (variant === 'production' || variant === 'development') return variant;
  throw new ReleaseError('usage', `Cannot use --variant ${variant}: wanted production or development`);
}

async function copied<Files extends Record<string, string>>(files: Files, out: string): Promise<Files> {
  await mkdir(out, { recursive: true });
  const entries = Object.entries(files).map(async ([what, file]) => {
    const target = join(out, basename(file));
    await copyFile(file, target, constants.COPYFILE_FICLONE);
    return [what, target];
  });
  return Object.fromEntries(await Promise.all(entries)) as Files;
}
