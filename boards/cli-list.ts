import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadBoards } from '../release/boards.ts';
import { columns, type Invocation, print } from '../release/cli-io.ts';

export const BOARD_CONFIGS = join(import.meta.dirname, '../board-configs');

export const LIST_HELP = `Usage: wherry board list

The boards that a release can name, and whether an image can be built for one.

  --json   print the result as JSON
`;

export async function runList(invocation: Invocation): Promise<number> {
  const boards = (await loadBoards(BOARD_CONFIGS)).map(({ name, title, platform, memory, cpus }) => ({
    name,
    title,
    platform,
    memory,
    cpus,
    hasImage: existsSync(join(BOARD_CONFIGS, name, 'image.yaml')),
  }));
  print(
    invocation,
    { boards },
    columns([
      ['BOARD', 'PLATFORM', 'MEMORY', 'CPUS', 'IMAGE', ''],
      ...boards.map(({ name, platform, memory, cpus, hasImage, title }) => [
        name,
        platform,
        memory,
        String(cpus),
        hasImage ? 'yes' : 'no',
        title,
      ]),
    ]),
  );
  return 0;
}
