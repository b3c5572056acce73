import { rmSync, statfsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeSource } from '../../agent/update/sources/fake-source.ts';
import { until } from '../support/until.ts';
import { type Device, orphansOf } from './device.ts';
import type { Step } from './scenarios.ts';

const LEASE_MS = 3_600_000;
const BALLAST = 'somebody-elses-file';

/** The server of one step. */
export class StepSource extends FakeSource {
  /** Of blobs. */
  bytes = 0;
  stallsAfter = Number.POSITIVE_INFINITY;
  #chunks = 0;

  serve({ objects, stallsAfter = Number.POSITIVE_INFINITY }: Step): void {
    this.objects.clear();
    for (const [name, content] of objects) this.objects.set(name, content);
    this.stallsAfter = stallsAfter;
    this.#chunks = 0;
  }

  override async fetch(...[object, chunks, onChunk, signal]: Parameters<FakeSource['fetch']>): Promise<void> {
    const take = async (index: number, payload: Buffer) => {
      if (this.#chunks++ >= this.stallsAfter) await aborted(signal);
      this.bytes += payload.length;
      await onChunk(index, payload);
    };
    return super.fetch(object, chunks, take, signal);
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    const fail = () => reject(new Error('Cannot go on: called off'));
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });

/** Lets a step happen, but does not wait for what comes of it. */
export async function begin(step: Step, device: Device, source: StepSource, disk: string): Promise<void> {
  const { engine, leases, workloads } = device;
  source.serve(step);
  for (const version of step.ill) workloads.ill.add(version);
  if (step.freeBytes !== undefined) await fill(disk, step.freeBytes);
  if (step.isOffered) engine.offer(step.envelope);
  if (step.hand === 'roll-back') engine.rollBack('test');
  if (step.hand === 'take-lease')
    await leases.take({ holder: 'test', why: 'busy', until: Date.now() + LEASE_MS }, Date.now());
  if (step.hand === 'release-lease') {
    await leases.release('test', Date.now());
    engine.wake();
  }
}

/** Waits until nothing moves any more. */
export async function settled(
  device: Device,
  { phases, version }: { phases: readonly string[]; version: string | undefined },
  stateDir: string,
  isHalfWay: boolean,
): Promise<void> {
  const { engine, ledger } = device;
  const isThere = () =>
    phases.includes(engine.status().phase) && (!version || engine.current?.version === version);
  const isClean = () =>
    !['committed'].includes(engine.status().phase) || orphansOf(ledger.load(), stateDir).length === 0;
  const describe = () =>
    `${phases.join(' or ')} with ${version}; is ${engine.status().phase} with ${engine.current?.version}, orphans ${orphansOf(ledger.load(), stateDir).join(' ')}; log: ${device.log.slice(-6).join(' | ')}`;
  await until(() => isThere() && (isHalfWay || (isClean() && device.isQuiet())), {
    timeoutMs: 8_000,
    what: 'it',
  }).catch(() => {
    throw new Error(`Waited in vain for ${describe()}`);
  });
}

/** Takes up the disk but for `freeBytes`, or gives it back. */
async function fill(disk: string, freeBytes: number): Promise<void> {
  const ballast = join(disk, BALLAST);
  if (freeBytes < 0) return rmSync(ballast, { force: true });
  const file = await open(ballast, 'a');
  const chunk = Buffer.alloc(64 * 1024, 1);
  try {
    for (;;) {
      const { bavail, bsize } = statfsSync(disk);
      const over = bavail * bsize - freeBytes;
      if (over <= 0) return;
      await file.write(chunk, 0, Math.min(over, chunk.length));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await file.sync().catch(() => {});
    await file.close();
  }
}

export const empty = (disk: string): void => rmSync(join(disk, BALLAST), { force: true });
