/** The completions in real shells, which are asked what they would offer. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SHELLS } from '../commands/completion.ts';
import { COMMANDS } from '../commands/index.ts';
import { openFullDevice } from '../every-command.ts';
import { completionModel } from './model.ts';

let device: Awaited<ReturnType<typeof openFullDevice>>;
let folder: string;

beforeAll(async () => {
  device = await openFullDevice();
  folder = mkdtempSync(join(tmpdir(), 'wherry-shells-'));
  symlinkSync(join(import.meta.dirname, '../../../bin/wherry'), join(folder, 'wherry'));
  const model = completionModel(COMMANDS);
  for (const [shell, render] of Object.entries(SHELLS)) writeFileSync(join(folder, shell), render(model));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await device.close();
});

/** A program's standard output. What it complains of is a fault: a completion is silent. */
function output(program: string, args: string[], env: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: `${folder}:${process.env['PATH']}`, HOME: folder, TERM: 'xterm', ...env },
      cwd: folder,
    });
    let out = '';
    let complaint = '';
    child.stdout.on('data', (part) => {
      out += part;
    });
    child.stderr.on('data', (part) => {
      complaint += part;
    });
    child.once('error', reject);
    child.once('close', () => (complaint === '' ? resolve(out) : reject(new Error(complaint))));
    child.stdin.end();
  });
}

const BASH = `
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_wherry
printf '%s\\n' "\${COMPREPLY[@]}"
`;

const ZSH = join(import.meta.dirname, '../../../test/support/zsh-offer.zsh');

async function offered(shell: string, words: string[], env: Record<string, string>): Promise<string[]> {
  const file = join(folder, shell);
  const said = await ask();
  return said
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .toSorted();

  async function ask(): Promise<string> {
    if (shell === 'bash') return output('bash', ['-c', BASH, 'bash', file, ...words], env);
    if (shell === 'fish')
      return (
        await output('fish', ['--no-config', '-c', `source ${file}; complete -C '${words.join(' ')}'`], env)
      )
        .split('\n')
        .map((line) => line.split('\t')[0])
        .join('\n');
    const text = await output('zsh', ['-f', ZSH, file, words.join(' ')], env);
    // `_describe` offers in two goes.
    return [...new Set([...text.matchAll(/^OFFER:(.*?)\r?$/gm)].map(([, word]) => word))].join('\n');
  }
}

const socket = () => ({ WHERRY_SOCKET: join(device.folder, 'agent.sock') });
const shells = Object.keys(SHELLS);

test.each(shells)('%s completes a command, a verb and an option', async (shell) => {
  expect(await offered(shell, ['wherry', 'postm'], socket())).toEqual(['postmortem']);
  expect(await offered(shell, ['wherry', 'lease', ''], socket())).toEqual(['release', 'show', 'take']);
  expect(await offered(shell, ['wherry', 'lease', 'take', '--w'], socket())).toEqual(['--why']);
});

test.each(shells)('%s completes names that the running agent knows', async (shell) => {
  const services = device.view.agentStatus.services.map(({ name }) => name).toSorted();
  expect(await offered(shell, ['wherry', 'why', ''], socket())).toEqual(services);
  expect(await offered(shell, ['wherry', 'logs', '-n', '5', ''], socket())).toEqual(services);
  const channels = device.view.channels.list().channels.map(({ name }) => name);
  expect(await offered(shell, ['wherry', 'ipc', 'tap', ''], socket())).toEqual(channels.toSorted());
  const holders = device.view.leases.list().map(({ holder }) => holder);
  expect(await offered(shell, ['wherry', 'lease', 'release', '--holder', ''], socket())).toEqual(holders);
  expect(await offered(shell, ['wherry', 'completion', 'b'], socket())).toEqual(['bash']);
});

test.each(shells)('%s offers no names, and complains of nothing, when the agent is down', async (shell) => {
  const down = { WHERRY_SOCKET: join(folder, 'none.sock') };
  expect(await offered(shell, ['wherry', 'why', ''], down)).toEqual([]);
});
