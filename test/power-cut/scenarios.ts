import { randomBytes } from 'node:crypto';
import { blobObject } from '../../protocol/objects.ts';
import { deltaOf, offerDelta } from '../support/deltas.ts';
import type { TestRelease } from '../support/test-repository.ts';
import { ownSystem } from './board.ts';
import { ownAgent } from './own-agent.ts';
import { type Scenario, type Step, Story } from './story.ts';

const MIB = 1024 * 1024;

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
  const story = new Story('held by a lease, with a service stopped by hand');
  const base = await story.repository.layer(200_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.step({ title: 'take a lease', hand: 'take-lease', phase: 'committed', version: '1.0.0' });
  story.step({ title: 'stop a service', hand: 'stop-by-hand', phase: 'committed', version: '1.0.0' });
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
  story.step({ title: 'start the service', hand: 'start-by-hand', phase: 'committed', version: '2.0.0' });
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

/** The first stick holds everything, which the server does not; what the second lacks, the server has. */
async function bundles(): Promise<Scenario> {
  const story = new Story('offline bundles');
  const { repository } = story;
  const base = await repository.layer(200_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.served = new Map(repository.objects);
  const apply = (release: TestRelease, without: readonly string[] = []): Partial<Step> => {
    const { name, version, manifest } = release;
    const objects = new Map(repository.objects);
    for (const object of without) objects.delete(object);
    return { hand: 'apply-stick', stick: { release: { name, version, manifest }, objects } };
  };
  // Cut before it was durable, the wish is gone with whoever brought the stick.
  const final = { version: '', phases: ['committed'] };
  const two = story.publish('2.0.0', [base, await repository.layer(2 * MIB)]);
  story.step({ title: 'apply 2.0.0', phase: 'committed', version: '2.0.0', final, ...apply(two) });
  const left = await repository.layer(1 * MIB);
  const three = story.publish('3.0.0', [base, await repository.layer(700_000), left]);
  story.served = undefined;
  story.step({
    title: 'apply what is there of 3.0.0',
    phase: 'committed',
    version: '3.0.0',
    final,
    ...apply(three, [blobObject(left.verity)]),
  });
  return story.scenario;
}

async function secrets(): Promise<Scenario> {
  const story = new Story('secrets');
  story.release('1.0.0', [await story.repository.layer(10_000)]);
  const settled = { phase: 'committed', version: '1.0.0' };
  story.step({ title: 'install 1.0.0', ...settled });
  const put = (name: string, content: string): void => {
    const title = `put the secret ${name}`;
    story.step({ title, ...settled, hand: 'put-secret', secret: { name, content } });
  };
  put('pin', '1234');
  put('token', 'a'.repeat(5_000));
  put('pin', '99');
  story.step({
    title: 'remove the secret pin',
    ...settled,
    hand: 'remove-secret',
    secret: { name: 'pin' },
  });
  return story.scenario;
}

/** The second release brings an agent, the third one that does not come up; then by hand to the agent before. */
async function newAgents(): Promise<Scenario> {
  const story = new Story('releases that bring their agent');
  story.scenario.illAgents = ['9.1.0'];
  const base = await story.repository.layer(100_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base], await ownAgent(story.repository, '9.0.0'));
  story.step({ title: 'update to 2.0.0 and its agent', phase: 'committed', version: '2.0.0' });
  story.release('3.0.0', [base], await ownAgent(story.repository, '9.1.0'));
  story.step({ title: 'fall back from the agent of 3.0.0', phase: 'rolled_back', version: '2.0.0' });
  story.step({
    title: 'roll back by hand to the agent before',
    hand: 'roll-back',
    phase: 'rolled_back',
    version: '1.0.0',
    final: { version: '', phases: ['rolled_back', 'committed'] },
  });
  return story.scenario;
}

/** Whoever loses power between the bootloader and the agent of a trial goes back: nobody knows that it would have come up. */
const LOST_TRIAL: Step['final'] = { version: '', phases: ['committed', 'rolled_back', 'refused'] };

/** The second release brings a system, the third one that does not boot, the fourth does not stay well on its own. */
async function newSystems(): Promise<Scenario> {
  const story = new Story('releases that bring the system');
  const { repository } = story;
  story.scenario.illSystems = ['9.1.0'];
  const base = await repository.layer(50_000);
  story.release('1.0.0', [base]).step({ title: 'install 1.0.0', phase: 'committed', version: '1.0.0' });
  story.release('2.0.0', [base], await ownSystem(repository, '9.0.0'));
  const taken = { phase: 'committed', final: LOST_TRIAL };
  story.step({ title: 'update to 2.0.0 and its system', version: '2.0.0', ...taken });
  const final = { version: '', phases: ['rolled_back', 'refused'] };
  const back = { phase: 'rolled_back', version: '2.0.0', final };
  story.release('3.0.0', [base], await ownSystem(repository, '9.1.0'));
  story.step({ title: 'fall back from the system of 3.0.0', ...back });
  story.release('4.0.0', [base], await ownSystem(repository, '9.2.0'));
  story.step({ title: 'fall back from 4.0.0, which is ill', ill: ['4.0.0'], ...back });
  return story.scenario;
}

/** By hand to a system that had to give way, which is written anew; then the one that runs is brought once more. */
async function systemByHand(): Promise<Scenario> {
  const story = new Story('back by hand to another system');
  const { repository } = story;
  story.scenario.illSystems = ['9.3.0'];
  const base = await repository.layer(50_000);
  const one = await ownSystem(repository, '9.1.0');
  story.release('1.0.0', [base], one);
  const taken = { phase: 'committed', final: LOST_TRIAL };
  story.step({ title: 'install 1.0.0 and its system', version: '1.0.0', ...taken });
  story.release('2.0.0', [base], await ownSystem(repository, '9.2.0'));
  story.step({ title: 'update to 2.0.0 and its system', version: '2.0.0', ...taken });
  story.release('3.0.0', [base], await ownSystem(repository, '9.3.0'));
  const final = { version: '', phases: ['rolled_back', 'refused'] };
  story.step({ title: 'fall back from 3.0.0', phase: 'rolled_back', version: '2.0.0', final });
  story.step({
    title: 'roll back by hand to the system before',
    hand: 'roll-back',
    phase: 'rolled_back',
    version: '1.0.0',
    final: { version: '', phases: ['rolled_back', 'refused', 'committed'] },
  });
  story.release('4.0.0', [base], one);
  story.step({ title: 'update to 4.0.0 on the system that runs', phase: 'committed', version: '4.0.0' });
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
  bundles,
  secrets,
  newAgents,
  newSystems,
  systemByHand,
};
