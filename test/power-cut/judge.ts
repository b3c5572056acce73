import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { EMPTY_RECORD, inForce, type UpdateRecord } from '../../agent/update/core/record.ts';
import { PIECE_BYTES } from '../../protocol/fsverity.ts';
import { blobObject } from '../../protocol/objects.ts';
import { type Device, openDevice, orphansOf } from './device.ts';
import { agentFaults, holdFaults, mixFaults, secretFaults, slotFaults } from './judge-parts.ts';
import type { Mark } from './marks.ts';
import { blobsOfText, type Held, heldPieces, isWhole, manifestOf } from './on-disk.ts';
import { isWholeAgent } from './own-agent.ts';
import { begin, empty, StepSource, settled } from './play.ts';
import type { Recording } from './recording.ts';
import type { Step } from './story.ts';

/** What a power cut may cost of a download at most: what was written since the last sync, and the piece on its way. */
const LOST_BYTES = 4 * 1024 * 1024 + PIECE_BYTES;

/** What the agent relied on when the power went, and what it was about to rely on. */
export interface Known {
  step: Step;
  record: { last: UpdateRecord; next: UpdateRecord };
  trust: { last: unknown; next: unknown };
  leases: { last: string[]; next: string[] };
  holds: { last: string[]; next: string[] };
  secrets: { last: Record<string, string>; next: Record<string, string> };
  /** Pieces by blob that were said to be held. */
  pieces: Map<string, Set<number>>;
}

export function knownAt({ scenario, marks }: Recording, writes: number): Known {
  const before = marks.filter(({ after }) => after <= writes).map(({ mark }) => mark);
  const behind = marks.filter(({ after }) => after > writes).map(({ mark }) => mark);
  const around = <T>(pick: (mark: Mark) => T | undefined, initial: T): { last: T; next: T } => {
    const picked = (from: Mark[]) => from.map(pick).filter((value) => value !== undefined);
    const last = picked(before).at(-1) ?? initial;
    return { last, next: picked(behind)[0] ?? last };
  };
  const step = around((mark) => (mark.type === 'step' ? mark.step : undefined), 0).last;
  const pieces = new Map<string, Set<number>>();
  for (const mark of before)
    if (mark.type === 'piece')
      pieces.set(mark.verity, (pieces.get(mark.verity) ?? new Set()).add(mark.piece));
  return {
    step: scenario.steps[step] as Step,
    record: around((mark) => (mark.type === 'record' ? mark.record : undefined), EMPTY_RECORD),
    trust: around((mark) => (mark.type === 'trust' ? mark.texts : undefined), undefined as unknown),
    leases: around((mark) => (mark.type === 'leases' ? mark.holders : undefined), [] as string[]),
    holds: around((mark) => (mark.type === 'holds' ? mark.services : undefined), [] as string[]),
    secrets: around((mark) => (mark.type === 'secrets' ? mark.contents : undefined), {}),
    pieces,
  };
}

export interface Verdict {
  /** What is wrong; empty when the device is whole. */
  faults: string[];
  /** The version in force when the agent came up; undefined: none. */
  boots: string | undefined;
}

/**
 * Starts an agent on a disk that lost its power: everything that was relied on before must be there. Then, at once or
 * after one start without a network, the network is there, and the device comes to where it was going.
 */
export async function judge(
  disk: string,
  recording: Recording,
  known: Known,
  isOnlineAtOnce: boolean,
): Promise<Verdict> {
  const verdict: Verdict = { faults: [], boots: undefined };
  const expect: Expect = (isSo, otherwise) => isSo || verdict.faults.push(otherwise);
  const stateDir = join(disk, 'state');
  const source = new StepSource();
  /** The power goes once; after that only the agent ends. */
  let booted: Device['booted'];
  const boot = async (work: (device: Device) => Promise<void>) => {
    const { factoryRoot, scenario } = recording;
    const device = await openDevice({ stateDir, factoryRoot, scenario, source, booted });
    await work(device).finally(device.stop);
    booted = device.booted;
    for (const fault of mixFaults(device, scenario)) expect(false, fault);
  };
  try {
    // A disk that was full is freed by those who look after the device, sooner or later.
    if (isOnlineAtOnce) empty(disk);
    const held = await heldPieces(stateDir, known.step);
    await boot(async (device) => {
      verdict.boots = inForce(device.loaded.record)?.release.version;
      await checkState(device, known, stateDir, expect);
      checkProgress(held, known, stateDir, expect);
      await start(device, expect);
      if (isOnlineAtOnce) await goOn(device, known.step, source, held, disk, expect);
    });
    if (isOnlineAtOnce) return verdict;
    empty(disk);
    await boot(async (device) => {
      await start(device, expect);
      await goOn(device, known.step, source, held, disk, expect);
    });
  } catch (error) {
    verdict.faults.push(String(error));
  }
  return verdict;
}

/** What runs is what the disk says, from the first moment on. */
async function start(device: Device, expect: Expect): Promise<void> {
  await device.start();
  const runs = device.workloads.desired?.release?.version;
  const wanted = inForce(device.agent.ledger.load())?.release.version;
  expect(runs === wanted, `it runs ${runs}, but ${wanted} is in force`);
}

type Expect = (isSo: boolean, otherwise: string) => unknown;

async function checkState(device: Device, known: Known, stateDir: string, expect: Expect): Promise<void> {
  const { record, trust, log } = device.loaded;
  expect(log.length === 0, `the ledger did not open in order: ${log.join('; ')}`);
  const { last, next } = known.record;
  expect(
    isSame(record, last) || isSame(record, next),
    `its record is neither the last durable one nor the next: ${record.phase} ${record.accepted?.generation}; last ${last.phase} ${last.accepted?.generation}, next ${next.phase} ${next.accepted?.generation}`,
  );
  if (known.trust.last !== undefined) expect(trust.origin === 'stored', `its trust is of ${trust.origin}`);
  if (trust.origin === 'stored')
    expect(
      isSame(trust.texts, known.trust.last) || isSame(trust.texts, known.trust.next),
      'its trusted metadata are neither the last nor the next',
    );
  for (const fault of [...(await secretFaults(device, known)), ...holdFaults(device, known)])
    expect(false, fault);
  expect(
    isWholeAgent(join(stateDir, 'agent'), device.firstChosen),
    `the agent ${device.firstChosen} that it starts is not whole`,
  );
  const holders = device.agent.leases.held(Date.now()).map(({ holder }) => holder);
  expect(
    isSame(holders, known.leases.last) || isSame(holders, known.leases.next),
    `its leases are ${holders.join() || 'none'}`,
  );
  const isReady = ['verified', 'staged', 'switching', 'soaking'].includes(record.phase);
  for (const release of [
    inForce(record),
    record.current,
    record.previous,
    isReady ? record.incoming : undefined,
  ])
    for (const layer of blobsOfText(release?.manifest))
      expect(
        await isWhole(stateDir, layer),
        `blob ${layer.verity.slice(0, 8)} of a release it holds is not whole`,
      );
}

function checkProgress(held: Held[], known: Known, stateDir: string, expect: Expect): void {
  for (const { verity, piece } of held.filter(({ isTrue }) => !isTrue))
    expect(false, `the map of ${verity.slice(0, 8)} names piece ${piece}, which is not on disk`);
  const wanted = new Set(blobsOfText(manifestOf(known.step)).map(({ verity }) => verity));
  for (const [verity, said] of known.pieces) {
    if (!wanted.has(verity) || existsSync(join(stateDir, 'blobs', `${verity}.erofs`))) continue;
    const kept = held.filter((piece) => piece.verity === verity && piece.isTrue).length;
    const lost = (said.size - kept) * PIECE_BYTES;
    expect(lost <= LOST_BYTES, `it lost ${lost} verified bytes of ${verity.slice(0, 8)}`);
  }
}

async function goOn(
  device: Device,
  step: Step,
  source: StepSource,
  held: Held[],
  disk: string,
  expect: Expect,
): Promise<void> {
  const stateDir = join(disk, 'state');
  const wanted = blobsOfText(manifestOf(step));
  // What is on the stick is not asked of the network.
  const missing = wanted.filter(
    ({ verity }) =>
      !existsSync(join(stateDir, 'blobs', `${verity}.erofs`)) && !step.stick?.objects.has(blobObject(verity)),
  );
  const heldBytes = held
    .filter(({ verity }) => missing.some((layer) => layer.verity === verity))
    .reduce((sum, { bytes }) => sum + bytes, 0);
  const missingBytes = missing.reduce((sum, { size }) => sum + size, 0) - heldBytes;
  // The wish of somebody at the device is theirs to repeat; the network repeats itself.
  const { hand: _hand, stallsAfter: _stalls, freeBytes: _free, ...again } = step;
  await begin(again, device, source, disk);
  await settled(device, step.final, stateDir, false);
  expect(
    source.bytes <= missingBytes,
    `it fetched ${source.bytes} bytes though only ${missingBytes} were missing`,
  );
  const { engine, ledger } = device.agent;
  const orphans = orphansOf(ledger.load(), stateDir);
  expect(engine.status().phase !== 'committed' || orphans.length === 0, `left behind: ${orphans.join()}`);
  for (const fault of [...agentFaults(device, stateDir), ...slotFaults(device, stateDir)])
    expect(false, fault);
}

/** Alike as JSON, in which the one that was written lacks what is undefined. */
const isSame = (a: unknown, b: unknown): boolean => isDeepStrictEqual(plain(a), plain(b));
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
