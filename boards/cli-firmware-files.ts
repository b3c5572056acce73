import { readFile } from 'node:fs/promises';
import { parseWherryJson, type WherryJson } from '../protocol/wherry-json.ts';
import type { Invocation } from '../release/cli-io.ts';
import { messageOf, ReleaseError } from '../release/errors.ts';
import type { FatFiles } from './fat.ts';

export const FIRMWARE_OPTIONS_HELP = `  --wherry-json FILE  what the board is to be: name, server, Wi-Fi (docs/board-setup.md); needs --root
  --root FILE         the signer's first root.json: where the board's trust in releases begins
`;

export interface GivenFirmware {
  wishes: WherryJson;
  files: FatFiles;
}

/** What goes onto the first partition, checked as the board will; undefined when nothing was asked for. */
export async function givenFirmware({ values }: Invocation): Promise<GivenFirmware | undefined> {
  const { 'wherry-json': wishesFile, root: rootFile } = values;
  if (wishesFile === undefined && rootFile === undefined) return undefined;
  if (wishesFile === undefined || rootFile === undefined)
    throw new ReleaseError(
      'usage',
      'Cannot set the board up: --wherry-json and --root go together; a board trusts nothing without a root',
    );
  const text = await textOf(wishesFile);
  const checked = parseWherryJson(text);
  if (!checked.ok)
    throw new ReleaseError('wherry-json', `Cannot use ${wishesFile}: ${checked.faults.join('; ')}`);
  const root = await textOf(rootFile);
  if (!isRoot(root))
    throw new ReleaseError(
      'wherry-json',
      `Cannot use ${rootFile}: it is not root metadata; wanted repository/1.root.json of the signer's keys`,
    );
  return {
    wishes: checked.value,
    files: { 'wherry.json': Buffer.from(text), 'root.json': Buffer.from(root) },
  };
}

function isRoot(text: string): boolean {
  try {
    return (JSON.parse(text) as { signed?: Record<string, unknown> }).signed?.['_type'] === 'root';
  } catch {
    return false;
  }
}

const textOf = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ReleaseError('wherry-json', `Cannot set the board up: ${messageOf(cause)}`, { cause });
  });
