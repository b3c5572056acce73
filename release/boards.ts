import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Board, checkBoard } from '../protocol/board.ts';
import { messageOf, ReleaseError } from './errors.ts';
import { parseYaml } from './yaml.ts';

/** Boards in order of name, from `<dir>/<board>/board.yaml`. */
export async function loadBoards(dir: string): Promise<Board[]> {
  const boards: Board[] = [];
  const entries = await readdir(dir, { withFileTypes: true }).catch((cause: unknown) => {
    throw new ReleaseError('board', `Cannot read the boards folder ${dir}: ${messageOf(cause)}`, { cause });
  });
  for (const entry of entries.filter((each) => each.isDirectory())) {
    boards.push(await loadBoard(join(dir, entry.name, 'board.yaml'), entry.name));
  }
  if (boards.length === 0)
    throw new ReleaseError('board', `Cannot load boards from ${dir}: it holds no <board>/board.yaml`);
  return boards.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function loadBoard(file: string, folder: string): Promise<Board> {
  const fail = (what: string, cause?: unknown): never => {
    throw new ReleaseError('board', `Cannot read board ${file}: ${what}`, { cause });
  };
  const text = await readFile(file, 'utf8').catch((error: unknown) => fail(messageOf(error), error));
  const parsed = parseYaml(text);
  if (!parsed.ok) return fail(parsed.faults.join('; '));
  const checked = checkBoard(parsed.value);
  if (!checked.ok) return fail(checked.faults.join('; '));
  if (checked.value.name !== folder)
    fail(`name is "${checked.value.name}"; wanted "${folder}", as its folder`);
  return checked.value;
}
