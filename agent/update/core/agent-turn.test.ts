import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NOTHING_KNOWN } from './hold.ts';
import { advance } from './machine.ts';
import { agentsHeld, agentWanted, EMPTY_RECORD, inForce, type UpdateRecord } from './record.ts';
import type { UpdateEffect, UpdateInput } from './transition.ts';

const WELL = { isConverged: true, isFailed: false, unhealthy: [] };
const ILL = { isConverged: false, isFailed: true, unhealthy: [{ service: 'web', message: 'crash-looping' }] };
const TRIES = 3;

interface Chosen {
  current: string;
  trial?: { id: string; tries: number } | undefined;
  failed?: string | undefined;
}

/** One device with its launcher. Releases and the agents that they bring are named by letters; "-" brings none. */
class Device {
  files: Chosen = { current: 'shipped' };
  running = 'shipped';
  /** Agents that end before they do anything; releases that do not get well. */
  readonly brokenAgents = new Set<string>();
  readonly illReleases = new Set<string>();
  durable: UpdateRecord = EMPTY_RECORD;
  record: UpdateRecord = EMPTY_RECORD;
  services: string | undefined;
  /** What ran services, one after the other. */
  readonly ran: string[] = [];
  budget = Number.POSITIVE_INFINITY;
  #hasLeft = false;
  #failed: string | undefined;

  step(input: UpdateInput): void {
    if (this.#hasLeft || this.budget <= 0) return;
    const agent = { running: this.running, failed: this.#failed };
    const times = { at: 5_000, now: 5_000 };
    const next = advance(this.record, input, {
      device: 'd',
      board: 'b',
      ...times,
      facts: NOTHING_KNOWN,
      agent,
    });
    this.record = next.record;
    if (next.isDurable) this.durable = next.record;
    for (const effect of next.effects) if (!this.#hasLeft && this.budget-- > 0) this.#perform(effect);
  }

  #perform(effect: UpdateEffect): void {
    const wanted = agentWanted(this.record);
    if (effect === 'switch-agent' && wanted) this.#hold(wanted);
    if (effect === 'stage') this.step({ type: 'staged' });
    if (effect === 'switch') this.step({ type: 'switch' });
    if (effect !== 'apply') return;
    this.services = inForce(this.record)?.release.version;
    this.ran.push(`${this.services} by ${this.running}`);
  }

  #hold({ id, isTrial }: { id: string; isTrial: boolean }): void {
    this.#failed = undefined;
    if (isTrial && this.running === id) return;
    this.files = isTrial ? { current: this.files.current, trial: { id, tries: 0 } } : { current: id };
    this.#hasLeft = this.running !== id;
  }

  /** The launcher, until an agent stays up. */
  start(): void {
    this.budget = Number.POSITIVE_INFINITY;
    do {
      this.#hasLeft = false;
      const { trial, current } = this.files;
      if (trial && trial.tries < TRIES) {
        this.files = { ...this.files, trial: { ...trial, tries: trial.tries + 1 } };
        this.running = trial.id;
      } else {
        this.files = trial ? { current, failed: trial.id } : this.files;
        this.running = current;
      }
      if (this.brokenAgents.has(this.running)) this.#hasLeft = true;
      else this.#boot();
    } while (this.#hasLeft);
  }

  #boot(): void {
    this.#failed = this.files.failed;
    this.record = this.durable;
    this.step({ type: 'started' });
  }

  offer(generation: number, version: string, agent: string): void {
    const release = { name: 'r', version, manifest: version.repeat(64) };
    const assignment = { type: 'assignment', v: 1, device: 'd', board: 'b', generation, release } as const;
    this.step({ type: 'assigned', assignment: { ...assignment, issuedAt: 1_000, expiresAt: 10_000 } });
    const brings = agent === '-' ? undefined : agent;
    this.step({ type: 'manifest-checked', manifest: version, soakMs: 100, agent: brings });
    this.step({ type: 'blobs-verified' });
    this.#startAgain();
  }

  look(): void {
    const isIll = this.services !== undefined && this.illReleases.has(this.services);
    this.step({ type: 'health', health: isIll ? ILL : WELL, elapsedMs: 50 });
    this.#startAgain();
  }

  rollBack(): void {
    this.step({ type: 'roll-back', by: 'ada' });
    this.#startAgain();
  }

  settle(): void {
    for (let turn = 0; turn < 10; turn++) this.look();
  }

  #startAgain(): void {
    if (this.#hasLeft) this.start();
  }
}

function started(): Device {
  const device = new Device();
  device.start();
  return device;
}

function deploy(device: Device, generation: number, version: string, agent = '-'): void {
  device.offer(generation, version, agent);
  device.settle();
}

test('the new agent takes over before the services change, and stays when they stay well', () => {
  const device = started();
  deploy(device, 1, 'a');
  deploy(device, 2, 'b', 'x');
  expect(device.ran.filter((line) => line.startsWith('b'))).toEqual(['b by x']);
  expect(device).toMatchObject({ running: 'x', files: { current: 'x' } });
  expect([...agentsHeld(device.record)]).toEqual(['x', 'shipped']);
});

test('an agent that does not come up takes its release with it; no service ever changed', () => {
  const device = started();
  deploy(device, 1, 'a');
  device.brokenAgents.add('x');
  const before = device.ran.length;
  deploy(device, 2, 'b', 'x');
  expect(device.ran.slice(before).every((line) => line === 'a by shipped')).toBe(true);
  expect(device.record).toMatchObject({ phase: 'rolled_back', bad: ['b'.repeat(64)] });
  expect(device.record.reason?.message).toContain('its agent x did not become healthy');
  expect(device.files).toEqual({ current: 'shipped' });
});

test('a release that fails under its new agent goes back under the old one', () => {
  const device = started();
  deploy(device, 1, 'a', 'x');
  device.illReleases.add('b');
  deploy(device, 2, 'b', 'y');
  expect(device).toMatchObject({ running: 'x', services: 'a', files: { current: 'x' } });
  expect(device.record.phase).toBe('rolled_back');
});

test('by hand the release before comes back with the agent that ran it', () => {
  const device = started();
  deploy(device, 1, 'a');
  deploy(device, 2, 'b', 'x');
  device.rollBack();
  device.settle();
  expect(device).toMatchObject({ running: 'shipped', services: 'a', files: { current: 'shipped' } });
});

test('a release without an agent runs under the one that is there', () => {
  const device = started();
  deploy(device, 1, 'a', 'x');
  deploy(device, 2, 'b');
  expect(device).toMatchObject({ running: 'x', services: 'b', files: { current: 'x' } });
});

test('a newer release takes the place of one on trial, and of its agent', () => {
  const device = started();
  deploy(device, 1, 'a', 'x');
  device.offer(2, 'b', 'y');
  expect(device.running).toBe('y');
  deploy(device, 3, 'c');
  expect(device).toMatchObject({ running: 'x', files: { current: 'x' } });
});

test('below the floor an agent that does not come up is left out of the release that stays', () => {
  const device = started();
  deploy(device, 1, 'a');
  device.brokenAgents.add('x');
  device.durable = { ...device.durable, floors: { r: 1 } };
  device.start();
  deploy(device, 2, 'b', 'x');
  expect(device).toMatchObject({ running: 'shipped', services: 'b', files: { current: 'shipped' } });
  expect(device.record.reason?.code).toBe('update.kept');
});

test('cut at any effect, an agent that works runs the one release that is in force', () => {
  const deployment = fc.record({
    version: fc.constantFrom('a', 'b', 'c'),
    agent: fc.constantFrom('-', 'x', 'y', 'z'),
    after: fc.constantFrom('settle', 'look', 'roll back', 'cut'),
  });
  fc.assert(
    fc.property(
      fc.array(deployment, { maxLength: 12 }),
      fc.nat({ max: 60 }),
      fc.subarray(['y', 'z']),
      fc.subarray(['b', 'c']),
      (deployments, cut, broken, ill) => {
        const device = started();
        device.budget = cut;
        for (const agent of broken) device.brokenAgents.add(agent);
        for (const version of ill) device.illReleases.add(version);
        for (const [index, { version, agent, after }] of deployments.entries()) {
          device.offer(index + 1, version, agent);
          if (after === 'settle') device.settle();
          if (after === 'look') device.look();
          if (after === 'roll back') device.rollBack();
          if (after === 'cut') device.start();
        }
        device.start();
        device.settle();
        expect(device.brokenAgents.has(device.running)).toBe(false);
        expect(device.running).toBe(device.record.agent ?? 'shipped');
        expect(device.files).toEqual({ current: device.running });
        expect(device.services).toBe(device.record.current?.release.version);
        expect(['idle', 'committed', 'rolled_back', 'refused', 'fetching']).toContain(device.record.phase);
      },
    ),
    { numRuns: 300 },
  );
});
