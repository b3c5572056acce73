import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { startAgent } from '../../agent/agent.ts';
import { PatientLedger } from '../../agent/ledger/patient-ledger.ts';
import { systemClock } from '../../agent/system-clock.ts';
import { FolderBlobStore } from '../../agent/update/blobs/folder-blob-store.ts';
import { EMPTY_RECORD } from '../../agent/update/core/record.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { loadBoards } from '../../release/boards.ts';
import { ROOT } from '../../scripts/setup.mjs';
import type { busyboxLayer } from './service-release.ts';

export interface PreparedAgent {
  /** Of all of the others. */
  dir: string;
  runDir: string;
  socket: string;
  /** Stops the services and removes the folder. */
  close(): Promise<void>;
}

export interface Preparation {
  /** Also how its folder and, by the first three letters, its instance begin. */
  name: string;
  manifest: Manifest;
  layer: Awaited<ReturnType<typeof busyboxLayer>>;
  log?: Logger;
}

/** A whole agent without a server, with a committed release and its blob on the disk. */
export async function startPreparedAgent({
  name,
  manifest,
  layer,
  log = pino({ level: 'silent' }),
}: Preparation): Promise<PreparedAgent> {
  const dir = mkdtempSync(join(tmpdir(), `wherry-${name}-`));
  chmodSync(dir, 0o711);
  const [stateDir, runDir, socket] = [join(dir, 'state'), join(dir, 'run'), join(dir, 'agent.sock')];
  mkdirSync(stateDir, { mode: 0o700 });
  const blobs = await FolderBlobStore.open(join(stateDir, 'blobs'));
  copyFileSync(layer.path, blobs.pathOf(layer.verity));
  commit(stateDir, manifest);
  const board = (await loadBoards(join(ROOT, 'board-configs'))).find((each) => each.name === 'generic-amd64');
  if (!board) throw new Error('Cannot find board generic-amd64');
  const agent = await startAgent(
    {
      name,
      board,
      stateDir,
      runDir,
      socket,
      trustRoot: join(dir, 'root.json'),
      instance: `${name.slice(0, 3)}${process.pid}`,
      runtime: 'crun',
      onStop: 'stop-services',
      reboot: 'never',
      logLevel: 'debug',
    },
    log,
  );
  const close = async (): Promise<void> => {
    await agent.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  return { dir, runDir, socket, close };
}

function commit(stateDir: string, manifest: Manifest): void {
  const ledger = new PatientLedger({
    path: join(stateDir, 'ledger.db'),
    slotsDir: join(stateDir, 'release'),
    clock: systemClock,
    log: pino({ level: 'silent' }),
    onChange: () => undefined,
  });
  const release = { name: 'boat', version: '1', manifest: '0'.repeat(64), generation: 1 };
  const current = { release, manifest: JSON.stringify(manifest) };
  ledger.record({ ...EMPTY_RECORD, phase: 'committed', accepted: release, current }, []);
  ledger.close();
}
