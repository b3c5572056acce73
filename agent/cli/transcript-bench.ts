import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeAgentView } from '../local-api/fake-agent-view.ts';
import { fakeStatus } from '../local-api/fake-status.ts';
import { serveLocalApi } from '../local-api/server.ts';
import { clientVersion } from './client-version.ts';
import { FakeTerminal } from './fake-terminal.ts';
import type { Io } from './io.ts';

export type TranscriptBench = Awaited<ReturnType<typeof openTranscriptBench>>;

/** A real local API on a real unix socket with a simulated device behind it, for whole outputs of the CLI. */
export async function openTranscriptBench() {
  const folder = await mkdtemp(join(tmpdir(), 'wherry-cli-'));
  const socket = join(folder, 'agent.sock');
  const view = new FakeAgentView(fakeStatus());
  const api = await serveLocalApi({ view, socketPath: socket, onError: () => {} });
  let isDown = false;

  const agentDown = async (): Promise<void> => {
    if (!isDown) await api.close();
    isDown = true;
  };

  // What is plugged into the machine that runs the tests is nothing to them.
  const media = {
    classBlock: join(folder, 'class-block'),
    mountinfo: join(folder, 'mountinfo'),
    mountDir: join(folder, 'media'),
  };
  await mkdir(media.classBlock);
  await writeFile(media.mountinfo, '');
  const chaos = {
    boardFile: join(folder, 'board.json'),
    developmentMarker: join(folder, 'development'),
    sysrq: join(folder, 'sysrq'),
    sysrqTrigger: join(folder, 'sysrq-trigger'),
  };

  const transcript = async (commands: string[][], change: Partial<Io> = {}): Promise<string> => {
    const parts: string[] = [];
    for (const argv of commands) {
      const env = {
        USER: 'ada',
        WHERRY_SOCKET: socket,
        WHERRY_CONFIG: join(folder, 'agent.json'),
        ...change.env,
      };
      const terminal = new FakeTerminal({ media, chaos, ...change, env });
      const code = await terminal.run(...argv);
      const line = ['$ wherry', ...argv].join(' ').replaceAll(folder, '$DIR');
      parts.push(`${line}\n${terminal.seen}[exit ${code}]\n`);
    }
    return parts
      .join('\n')
      .replaceAll(folder, '$DIR')
      .replaceAll(process.version, '$NODE')
      .replaceAll(clientVersion().version, '$CLIENT')
      .replaceAll('\u001b', '␛');
  };

  return {
    folder,
    media,
    chaos,
    view,
    transcript,
    agentDown,
    close: async () => {
      await agentDown();
      await rm(folder, { recursive: true });
    },
  };
}

export const golden = (name: string): string => `transcripts/${name}.txt`;
export const terminal80 = { isTTY: true, columns: 80 };
export const plain80 = { ...terminal80, env: { NO_COLOR: '1' } };
