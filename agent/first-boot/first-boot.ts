import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkBoard } from '../../protocol/board.ts';
import { replaceFile } from '../../protocol/durable-file.ts';
import { parseWherryJson, type WherryJson } from '../../protocol/wherry-json.ts';
import { boardSetup, type Setup } from './core/board-setup.ts';
import { wpaSupplicantConf } from './wpa-supplicant.ts';

export interface BoardPlaces {
  /** The mounted first partition, writable. */
  firmware: string;
  /** Of the data disk, seen as /etc/wherry. */
  configDir: string;
  /** The board of this image: board.yaml as JSON. */
  boardFile: string;
  stateDir: string;
}

const SECRET_MODE = 0o600;

/**
 * Takes wherry.json and root.json from the first partition into the agent's configuration; once the board is enrolled,
 * takes the join secret out of both. Safe to repeat and to be cut off: what was taken is noted last, and
 * boards/rootfs/usr/lib/wherry/first-boot calls this until it is. Returns lines for people; throws an Error that says
 * what somebody has to mend, having changed nothing.
 */
export async function firstBoot(places: BoardPlaces): Promise<string[]> {
  const { firmware, configDir, boardFile, stateDir } = places;
  const boardText = await readFile(boardFile, 'utf8');
  const board = checkBoard(JSON.parse(boardText));
  if (!board.ok) throw new Error(`Cannot use ${boardFile}: ${board.faults.join('; ')}`);
  const source = join(firmware, 'wherry.json');
  const text = await readFile(source, 'utf8').catch((cause: unknown) => {
    throw new Error(
      'Cannot set this board up: its first partition holds no wherry.json; see docs/board-setup.md',
      {
        cause,
      },
    );
  });
  const wishes = parseWherryJson(text);
  if (!wishes.ok) throw new Error(`Cannot use wherry.json: ${wishes.faults.join('; ')}`);
  const config = await textOf(join(configDir, 'agent.json'));
  const setup = boardSetup({
    wishes: wishes.value,
    root: await textOf(join(firmware, 'root.json')),
    held: { config: config && JSON.parse(config), root: await textOf(join(configDir, 'root.json')) },
    board: boardPart(configDir, stateDir, board.value),
    isEnrolled: existsSync(join(stateDir, 'identity/identity.json')),
  });
  if (setup.kind === 'refused') throw new Error(`Cannot set this board up: ${setup.what}`);
  await mkdir(join(configDir, 'taken'), { recursive: true, mode: 0o700 });
  await keep(configDir, setup, wishes.value);
  const rest = setup.withoutSecret && `${JSON.stringify(setup.withoutSecret, undefined, 2)}\n`;
  if (rest !== undefined) await replaceFile(source, rest);
  await replaceFile(join(configDir, 'taken/board.json'), boardText);
  await replaceFile(join(configDir, 'taken/wherry.json'), rest ?? text, SECRET_MODE);
  const done = rest === undefined ? 'Took wherry.json' : 'Enrolled: took the join secret out of wherry.json';
  return [`${done}; this board is "${wishes.value.name}"`, ...setup.notes];
}

async function keep(configDir: string, { root, config }: Setup, { wifi }: WherryJson): Promise<void> {
  if (root !== undefined) await replaceFile(join(configDir, 'root.json'), root);
  const wireless = join(configDir, 'wpa_supplicant.conf');
  if (wifi) await replaceFile(wireless, wpaSupplicantConf(wifi), SECRET_MODE);
  else await rm(wireless, { force: true });
  await replaceFile(join(configDir, 'agent.json'), `${JSON.stringify(config, undefined, 2)}\n`, SECRET_MODE);
}

const boardPart = (configDir: string, stateDir: string, board: object): object => ({
  board,
  stateDir,
  runDir: '/run/wherry/agent',
  socket: '/run/wherry/agent.sock',
  trustRoot: join(configDir, 'root.json'),
  reboot: 'allowed',
});

const textOf = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
