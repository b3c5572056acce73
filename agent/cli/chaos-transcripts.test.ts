import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ServiceStatus } from '../../protocol/status.ts';
import { readChaos, writeChaos } from '../chaos/chaos-state.ts';
import { NOW } from '../local-api/fake-status.ts';
import { fakeBoard } from './fake-board.ts';
import { golden, openTranscriptBench, type TranscriptBench } from './transcript-bench.ts';

let bench: TranscriptBench;
let env: Record<string, string>;
let stateDir: string;
beforeEach(async () => {
  bench = await openTranscriptBench();
  stateDir = join(bench.folder, 'state');
  mkdirSync(stateDir);
  const config = join(bench.folder, 'agent.json');
  env = { WHERRY_CONFIG: config };
  writeFileSync(
    config,
    JSON.stringify({
      name: 'boathouse-1',
      board: fakeBoard,
      stateDir,
      runDir: '/run/wherry/agent',
      socket: '/run/wherry/agent.sock',
      trustRoot: '/etc/wherry/root.json',
    }),
  );
});
afterEach(() => bench.close());

/** Without a check it is well as soon as it runs. */
function running(service: ServiceStatus): ServiceStatus {
  const { health: _check, ...rest } = service;
  return { ...rest, state: 'running' };
}

const SAYS_SO = '--yes-this-is-a-development-board';
const EVERY = [
  ['chaos', 'kill-service', 'web'],
  ['chaos', 'kill-agent'],
  ['chaos', 'fill-disk'],
  ['chaos', 'cut-network'],
  ['chaos', 'exhaust-memory', 'web'],
  ['chaos', 'power-cut'],
];

test('nothing is broken where it may not be', async () => {
  const unknown = await bench.transcript(EVERY, { env });
  writeFileSync(bench.chaos.boardFile, '{}');
  const production = await bench.transcript(
    EVERY.map((argv) => [...argv, SAYS_SO, '--json']),
    { env },
  );
  expect([unknown, production].join().match(/\[exit \d+\]/g)).toEqual(Array(12).fill('[exit 4]'));
  await expect(`${unknown}\n${production}`).toMatchFileSnapshot(golden('chaos-refused'));
});

test('on a development board: what an experiment wants, and what cannot be begun', async () => {
  writeFileSync(bench.chaos.boardFile, '{}');
  writeFileSync(bench.chaos.developmentMarker, '');
  const services = bench.view.agentStatus.services;
  bench.view.agentStatus = { ...bench.view.agentStatus, services: [] };
  const empty = await bench.transcript([['chaos', 'kill-agent']], { env });
  bench.view.agentStatus = {
    ...bench.view.agentStatus,
    services: services.map(running),
  };
  const text = await bench.transcript(
    [
      ['chaos', 'kill-service', 'nobody'],
      ['chaos', 'kill-service', 'web'],
      ['chaos', 'exhaust-memory', 'web'],
      ['chaos', 'kill-agent'],
      ['chaos', 'cut-network'],
      ['chaos', 'fill-disk', '--for', 'ever'],
      ['chaos', 'kill-agent', '--within', '2h'],
      ['chaos', 'report'],
      ['chaos', 'undo'],
      ['chaos', 'undo', '--json'],
      ['chaos', 'flood'],
    ],
    { env },
  );
  await bench.agentDown();
  const down = await bench.transcript([['chaos', 'kill-agent', '--json']], { env });
  await expect([empty, text, down].join('\n')).toMatchFileSnapshot(golden('chaos'));
});

const gone = { bootId: 'an earlier boot', pid: 1, startTicks: 1 };

test('what a killed experiment left is taken back by undo, once', async () => {
  const path = join(stateDir, 'chaos-fill');
  writeFileSync(path, 'x');
  const change = { kind: 'file' as const, path };
  await writeChaos(stateDir, { v: 1, experiment: 'fill-disk', at: NOW, by: gone, change });
  const text = await bench.transcript(
    [
      ['chaos', 'undo'],
      ['chaos', 'undo'],
    ],
    { env },
  );
  expect(text.match(/^\S.*(?=\n\[)/gm)).toEqual(['fill-disk: taken back', 'Nothing was left to take back']);
  expect([existsSync(path), await readChaos(stateDir)]).toEqual([false, undefined]);
});

test('a power cut is noted before it is made, and reported after the next boot', async () => {
  writeFileSync(bench.chaos.developmentMarker, '');
  const { services, health, ...status } = bench.view.agentStatus;
  bench.view.agentStatus = { ...status, health, services: services.map(running) };
  const cut = await bench.transcript(
    [
      ['chaos', 'power-cut'],
      ['chaos', 'report'],
    ],
    { env },
  );
  expect(readFileSync(bench.chaos.sysrqTrigger, 'utf8')).toBe('b');
  const state = await readChaos(stateDir);
  if (state) await writeChaos(stateDir, { ...state, by: gone });
  // Undo does not take the note away: nothing is to be taken back.
  const undone = await bench.transcript([['chaos', 'undo']], { env });
  bench.view.agentStatus = {
    ...bench.view.agentStatus,
    health: { ...health, boot: { id: 'x', reason: 'lost-power', at: NOW } },
  };
  const told = await bench.transcript(
    [
      ['chaos', 'report'],
      ['chaos', 'report'],
    ],
    { env },
  );
  const timeless = told
    .replaceAll(/ after [\d.]+s/g, ' after Ns')
    .replaceAll(/, \d+s in all/g, ', Ns in all');
  await expect([cut, undone, timeless].join('\n')).toMatchFileSnapshot(golden('chaos-power-cut'));
});
