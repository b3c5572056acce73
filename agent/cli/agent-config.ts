import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkAgentConfig } from '../config.ts';
import type { Call } from './command.ts';
import { CliError } from './errors.ts';

export interface FoundConfig {
  file: string;
  /** Of the agent that runs with it; undefined when none answers, or another file was named. */
  pid: number | undefined;
}

/** The file that was named, else the one that the running agent reads, else where a device has it. */
export async function findConfig({ client, configFile, options, io }: Call): Promise<FoundConfig> {
  if (options['config'] || io.env['WHERRY_CONFIG']) return { file: configFile, pid: undefined };
  // A dead agent is no reason not to show what it would read.
  const pid = await client.status().then(
    ({ agent }) => agent.pid,
    () => undefined,
  );
  const file = pid === undefined ? undefined : fileOfProcess(pid, configFile);
  return { file: file ?? configFile, pid: file === undefined ? undefined : pid };
}

function fileOfProcess(pid: number, otherwise: string): string | undefined {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const at = args.indexOf('--config');
    const file = at < 0 ? otherwise : args[at + 1];
    return file?.startsWith('/') ? file : undefined;
  } catch {
    return undefined;
  }
}

type Checked = ReturnType<typeof checkAgentConfig>;

/** Throws CliError "bad-config" when there is no file, or none that is JSON; what else is wrong is in the answer. */
export function readConfig(file: string): { document: Record<string, unknown>; checked: Checked } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hints = code === 'EACCES' ? ['It may hold a join secret: run as root'] : [];
    throw new CliError('bad-config', `Cannot read configuration ${file}: ${message}`, hints, error);
  }
  try {
    const document = JSON.parse(text) as Record<string, unknown>;
    return { document, checked: checkAgentConfig(document) };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new CliError('bad-config', `Cannot read configuration ${file}: it is not JSON: ${said}`, [], error);
  }
}

/** The first boot of a board keeps a note of what it took beside the configuration. */
export const isOfBoard = (file: string): boolean => existsSync(join(dirname(file), 'taken/board.json'));
