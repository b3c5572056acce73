import { randomBytes } from 'node:crypto';
import type { AssignmentEnvelope } from '../../protocol/assignment.ts';
import { deltaOf, offerDelta } from '../support/deltas.ts';
import { type TestLayer, TestRepository } from '../support/test-repository.ts';

const MIB = 1024 * 1024;

/** One thing that happens to a device, and what it settles at. Data: it is done in another process, and again after each cut. */
export interface Step {
  title: string;
  /** What the server has by now. */
  objects: Map<string, Buffer>;
  /** The newest assignment; the server sends it again to whoever comes back. */
  envelope: AssignmentEnvelope;
  /** Offered in this step, or was before. */
  isOffered: boolean;
  /** Versions whose services do not stay well. */
  ill: string[];
  /** The source gives this many chunks of blobs and then nothing, until the download is called off. */
  stallsAfter?: number;
  /** Hand of somebody at the device. */
  hand?: 'roll-back' | 'take-lease' | 'release-lease';
  /** Leaves this much of the disk free, with a file of somebody else's; -1 gives it back. */
  freeBytes?: number;
  /** The step ends in this phase, with this version in force. */
  phase: string;
  version: string | undefined;
  /** What a device cut in this step comes to, with the network there. */
  final: { version: string; phases: string[] };
}

export interface Scenario {
  name: string;
  factoryRoot: string;
  fleetKey: string;
  steps: Step[];
}

type Change = Partial<Omit<Step, 'objects'>> & Pick<Step, 'title' | 'phase' | 'version'>;

/** Takes down what the repository holds at each step. */
class Story {
  readonly repository = new TestRepository();
  readonly scenario: Scenario;
  #envelope: AssignmentEnvelope | undefined;
  #generation = 0;

  constructor(name: string) {
    const { factoryRoot, fleetKeyPem: fleetKey } = this.repository;
    this.scenario = { name, factoryRoot, fleetKey, steps: [] };
  }

  /** Publishes a version over the layers and assigns it. */
  release(version: string, layers: TestLayer[], policy: object = {}): this {
    const release = this.repository.publish(version, layers, { policy: { soakMs: 20 } });
    this.#envelope = this.repository.assign(release, { generation: ++this.#generation, policy });
    return this;
  }

  step(change: Change): this {
    if (!this.#envelope) throw new Error('Cannot add a step: nothing is assigned yet');
    const { version, phase } = change;
    this.scenario.steps.push({
      objects: new Map(this.repository.objects),
      envelope: this.#envelope,
      isOffered: true,
      ill: [],
      final: { version: version ?? '', phases: [phase] },
      ...change,
    });
    return this;
  }
}

async function firstRelease(): Promise<Scenario> {
  const story = new Story('first release');
  const layers = [await story.repository.layer(9 * MIB + 700), await story.repository.layer(70_000)];
  story.release('1.0.0', layers).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  return story.scenario;
}

/** Three releases over one base: the third commit frees the layer of the first. */
async function nextReleases(): Promise<Scenario> {
  const story = new Story('next releases, and what they free');
  const base = await story.repository.layer(2 * MIB);
  const top = await story.repository.layer(5 * MIB);
  story.release('1.0.0', [base, top]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  const patched = Buffer.concat([randomBytes(100_000), top.content]);
  const next = await story.repository.layer(patched.length, patched);
  const delta = deltaOf(next, top);
  offerDelta(story.repository.objects, { delta, next, old: top, held: [top, base] });
  story.release('2.0.0', [base, next]);
  story.step({ title: 'update to 2.0.0 by a delta', phase: 'committed', version: '2.0.0' });
  story.release('3.0.0', [base, await story.repository.layer(3 * MIB)]);
  story.step({ title: 'update to 3.0.0', phase: 'committed', version: '3.0.0' });
  return story.scenario;
}

async function failedSoak(): Promise<Scenario> {
  const story = new Story('a release that does not stay well');
  const base = await story.repository.layer(1 * MIB);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base, await story.repository.layer(300_000)]).step({
    title: 'fall back from 2.0.0',
    ill: ['2.0.0'],
    phase: 'rolled_back',
    version: '1.0.0',
  });
  story.release('3.0.0', [base, await story.repository.layer(200_000)]);
  story.step({ title: 'update to 3.0.0', phase: 'committed', version: '3.0.0' });
  return story.scenario;
}

async function rollBackByHand(): Promise<Scenario> {
  const story = new Story('rollback by hand');
  const base = await story.repository.layer(1 * MIB);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base, await story.repository.layer(300_000)]);
  story.step({ title: 'update to 2.0.0', phase: 'committed', version: '2.0.0' });
  story.step({
    title: 'roll back by hand',
    hand: 'roll-back',
    phase: 'rolled_back',
    version: '1.0.0',
    // Cut before it was durable, the wish is gone with whoever had it.
    final: { version: '', phases: ['rolled_back', 'committed'] },
  });
  return story.scenario;
}

async function superseded(): Promise<Scenario> {
  const story = new Story('superseded half-way');
  const base = await story.repository.layer(1 * MIB);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base, await story.repository.layer(9 * MIB)]).step({
    title: 'fetch half of 2.0.0',
    stallsAfter: 90,
    phase: 'fetching',
    version: '1.0.0',
    final: { version: '2.0.0', phases: ['committed'] },
  });
  story.release('3.0.0', [base, await story.repository.layer(300_000)]);
  story.step({ title: 'take 3.0.0 instead', phase: 'committed', version: '3.0.0' });
  return story.scenario;
}

async function rotatedKeys(): Promise<Scenario> {
  const story = new Story('new keys');
  const base = await story.repository.layer(200_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.repository.rotateFleetKey();
  story.repository.rotate('root', 'timestamp', 'snapshot', 'targets');
  story.release('2.0.0', [base, await story.repository.layer(100_000)]);
  story.step({ title: 'update to 2.0.0 by new keys', phase: 'committed', version: '2.0.0' });
  return story.scenario;
}

async function heldByLease(): Promise<Scenario> {
  const story = new Story('held by a lease');
  const base = await story.repository.layer(200_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.step({ title: 'take a lease', hand: 'take-lease', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base, await story.repository.layer(100_000)]);
  story.step({
    title: 'wait for the lease',
    phase: 'waiting',
    version: '1.0.0',
  });
  story.step({
    title: 'switch without the lease',
    hand: 'release-lease',
    phase: 'committed',
    version: '2.0.0',
    // Cut before it was durable that the lease is gone, the device goes on waiting.
    final: { version: '', phases: ['committed', 'waiting'] },
  });
  return story.scenario;
}

async function fullDisk(): Promise<Scenario> {
  const story = new Story('a disk that is full');
  const base = await story.repository.layer(1 * MIB);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base, await story.repository.layer(4 * MIB)]).step({
    title: 'refuse 2.0.0 for want of space',
    freeBytes: 18 * MIB,
    phase: 'refused',
    version: '1.0.0',
    // The one who comes back after the cut finds the disk freed.
    final: { version: '', phases: ['refused', 'committed'] },
  });
  story.release('3.0.0', [base, await story.repository.layer(1 * MIB)]).step({
    title: 'full to the last block',
    freeBytes: 0,
    phase: 'refused',
    version: '1.0.0',
    final: { version: '', phases: ['refused', 'committed'] },
  });
  story.release('4.0.0', [base, await story.repository.layer(1 * MIB)]);
  story.step({ title: 'update to 4.0.0 when freed', freeBytes: -1, phase: 'committed', version: '4.0.0' });
  return story.scenario;
}

export const SCENARIOS: Record<string, () => Promise<Scenario>> = {
  firstRelease,
  nextReleases,
  failedSoak,
  rollBackByHand,
  superseded,
  rotatedKeys,
  heldByLease,
  fullDisk,
};
