import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SecretStore } from '../../agent/supervisor/secrets/secret-store.ts';
import { FakeSource } from '../../agent/update/sources/fake-source.ts';
import { BUNDLE_FILE, type Bundle } from '../../protocol/bundle.ts';
import { until } from '../support/until.ts';
import { type Device, orphansOf } from './device.ts';
import type { Step, Stick } from './story.ts';

const LEASE_MS = 3_600_000;
/** Takes a second or less; beside other work, with a process for each try of an agent, many times that. */
const SETTLE_MS = 60_000;
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

/** Where a stick is mounted: beside the disks, the same for whoever comes back after a cut. */
const stickFolder = (disks: string, { release }: Stick): string => join(disks, `stick-${release.manifest}`);

/** As `wherry release export` does. */
export function writeStick(disks: string, stick: Stick): void {
  const folder = stickFolder(disks, stick);
  mkdirSync(folder, { recursive: true });
  const bundle: Bundle = { v: 1, release: stick.release, madeAt: 1, expiresAt: 2 };
  writeFileSync(join(folder, BUNDLE_FILE), JSON.stringify(bundle));
  for (const [name, content] of stick.objects) writeFileSync(join(folder, name), content);
}

/** By name. Throws when one is not what this device sealed. */
export async function contentsOf(secrets: SecretStore): Promise<Record<string, string>> {
  const contents: Record<string, string> = {};
  for (const name of await secrets.list()) contents[name] = String(await secrets.open(name));
  return contents;
}

/** Lets a step happen, but does not wait for what comes of it. */
export async function begin(step: Step, device: Device, source: StepSource, disk: string): Promise<void> {
  const { workloads } = device;
  const { engine, leases, holds, secrets } = device.agent;
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
  if (step.hand === 'stop-by-hand') holds.take('web', { by: 'test', why: 'busy', forMs: LEASE_MS });
  if (step.hand === 'start-by-hand')
    holds.end('web', {
      kind: 'service',
      service: 'web',
      code: 'start.by-hand',
      message: 'x',
      at: Date.now(),
    });
  if (step.hand === 'apply-stick' && step.stick)
    await engine.apply(stickFolder(dirname(disk), step.stick), 'test');
  const { name = '', content = '' } = step.secret ?? {};
  if (step.hand === 'put-secret') await secrets.put(name, Buffer.from(content));
  if (step.hand === 'remove-secret') await secrets.remove(name);
}

/** Waits until nothing moves any more. */
export async function settled(
  device: Device,
  { phases, version }: { phases: readonly string[]; version: string | undefined },
  stateDir: string,
  isHalfWay: boolean,
): Promise<void> {
  const phase = () => device.agent.engine.status().phase;
  const current = () => device.agent.engine.current?.version;
  const isThere = () => phases.includes(phase()) && (!version || current() === version);
  const orphans = () => orphansOf(device.agent.ledger.load(), stateDir);
  const isClean = () => phase() !== 'committed' || orphans().length === 0;
  const isDone = () => isThere() && (isHalfWay || (isClean() && device.agent.isQuiet()));
  await until(() => !device.isSwitching && isDone(), { timeoutMs: SETTLE_MS, what: 'it' }).catch(() => {
    const seen = device.isSwitching
      ? 'between two agents'
      : `${phase()} with ${current()}, orphans ${orphans().join(' ')}`;
    const log = device.agent.log.slice(-6).join(' | ');
    throw new Error(`Waited in vain for ${phases.join(' or ')} with ${version}; is ${seen}; log: ${log}`);
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
