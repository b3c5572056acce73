import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Slot, SlotStatus } from '../ports.ts';
import { NOTHING_KNOWN } from './hold.ts';
import { advance } from './machine.ts';
import { EMPTY_RECORD, inForce, systemWanted, type UpdateRecord } from './record.ts';
import { type BootReason, type UpdateEffect, type UpdateInput } from './transition.ts';
import { isStuck } from './trial.ts';

const WELL = { isConverged: true, isFailed: false, unhealthy: [] };
const ILL = { isConverged: false, isFailed: true, unhealthy: [{ service: 'web', message: 'crash-looping' }] };
const other = (slot: Slot): Slot => (slot === 'a' ? 'b' : 'a');

/** A board with its bootloader. Releases and the systems that they bring are named by letters; "-" brings none. */
class Board {
  readonly slots: Record<Slot, string> = { a: 'shipped', b: '' };
  choice: { active: Slot; trial?: { slot: Slot; token: string } } = { active: 'a' };
  tried = '';
  booted: Slot = 'a';
  trialBoot: string | undefined;
  boots = 1;
  bootReason: BootReason = 'first';
  /** Systems whose kernel fails; releases that do not get well. */
  readonly brokenSystems = new Set<string>();
  readonly illReleases = new Set<string>();
  durable: UpdateRecord = EMPTY_RECORD;
  record: UpdateRecord = EMPTY_RECORD;
  services: string | undefined;
  /** What ran services, one after the other. */
  readonly ran: string[] = [];
  readonly events: string[] = [];
  /** Effects and bootloader writes until the power goes. */
  budget = Number.POSITIVE_INFINITY;
  isDown = false;
  #tokens = 0;

  get status(): SlotStatus {
    const { active, trial } = this.choice;
    return {
      booted: this.booted,
      active,
      ...(this.trialBoot !== undefined && { trialBoot: this.trialBoot }),
      ...(trial && { trial: { ...trial, wasTried: this.tried === trial.token } }),
    };
  }

  step(input: UpdateInput): void {
    if (this.isDown) return;
    const { bootReason } = this;
    const freshToken = `t${++this.#tokens}`;
    const system = { ...this.status, bootId: `boot-${this.boots}`, bootReason, freshToken };
    const times = { at: 5_000, now: 5_000 };
    const next = advance(this.record, input, {
      device: 'd',
      board: 'b',
      ...times,
      facts: NOTHING_KNOWN,
      system,
    });
    this.record = next.record;
    if (next.isDurable) this.durable = next.record;
    this.events.push(...next.events.map(({ code }) => code));
    for (const effect of next.effects) if (this.#spend() && !this.#perform(effect)) return;
  }

  #spend(): boolean {
    if (this.isDown || this.budget-- <= 0) this.isDown = true;
    return !this.isDown;
  }

  /** False: what comes after it has to wait for another boot. */
  #perform(effect: UpdateEffect): boolean {
    if (effect === 'switch-system') return this.#turn();
    if (effect === 'stage') this.#stage();
    if (effect === 'switch') this.step({ type: 'switch' });
    if (effect !== 'apply') return true;
    this.services = inForce(this.record)?.release.version;
    this.ran.push(`${this.services} on ${this.slots[this.booted]}`);
    return true;
  }

  #stage(): void {
    const id = this.record.incoming?.system?.id;
    if (id === undefined) return this.step({ type: 'staged' });
    const isHere = this.slots[this.booted] === id;
    const slot = isHere ? this.booted : other(this.booted);
    if (!isHere) this.slots[slot] = id;
    if (this.#spend()) this.step({ type: 'staged', slot });
  }

  /** As agent/update/system-switch.ts does it. */
  #turn(): boolean {
    const wanted = systemWanted(this.record);
    if (!wanted) return true;
    if (wanted.isTrial) {
      if (this.trialBoot === wanted.token) return true;
      this.choice = { active: this.choice.active, trial: { slot: wanted.slot, token: wanted.token } };
    } else {
      const { status } = this;
      if (status.booted === wanted.slot && status.active === wanted.slot && !status.trial) return true;
      if (isStuck(wanted, { ...status, bootId: `boot-${this.boots}` })) return true;
      if (this.booted !== wanted.slot && status.active !== wanted.slot) this.#restore(wanted.id, wanted.slot);
      this.choice = { active: wanted.slot };
      if (this.booted === wanted.slot) return true;
    }
    if (this.#spend()) this.reboot('requested');
    return false;
  }

  #restore(id: string, slot: Slot): void {
    const { current, previous } = this.record;
    const isBrought = [current, previous].some((release) => release?.brings === id);
    if (isBrought) this.slots[slot] = id;
    else if (this.slots[slot] !== id) throw new Error(`${id} was written over, and nobody brings it`);
  }

  reboot(reason: BootReason): void {
    this.boots++;
    if (this.boots > 200) throw new Error('It reboots for ever');
    this.bootReason = reason;
    this.isDown = false;
    const { active, trial } = this.choice;
    this.trialBoot = undefined;
    this.booted = this.brokenSystems.has(this.slots[active]) ? other(active) : active;
    if (trial && this.tried !== trial.token) {
      this.tried = trial.token;
      if (this.brokenSystems.has(this.slots[trial.slot])) return this.reboot('lost-power');
      this.booted = trial.slot;
      this.trialBoot = trial.token;
    }
    this.start();
  }

  /** Within the boot. */
  restartAgent(): void {
    this.isDown = false;
    this.start();
  }

  start(): void {
    this.record = this.durable;
    this.services = undefined;
    this.step({ type: 'started' });
  }

  offer(generation: number, version: string, system: string): void {
    const release = { name: 'r', version, manifest: version.repeat(64) };
    const assignment = { type: 'assignment', v: 1, device: 'd', board: 'b', generation, release } as const;
    this.step({ type: 'assigned', assignment: { ...assignment, issuedAt: 1_000, expiresAt: 10_000 } });
    // One that failed here is refused; what is on its way goes on.
    if (this.record.incoming?.release.version !== version) return;
    const brings = system === '-' ? undefined : system;
    this.step({ type: 'manifest-checked', manifest: version, soakMs: 100, system: brings });
    this.step({ type: 'blobs-verified' });
  }

  look(): void {
    const isIll = this.services !== undefined && this.illReleases.has(this.services);
    this.step({ type: 'health', health: isIll ? ILL : WELL, elapsedMs: 50 });
  }

  settle(): void {
    for (let turn = 0; turn < 10; turn++) this.look();
  }
}

function started(): Board {
  const board = new Board();
  board.start();
  return board;
}

function deploy(board: Board, generation: number, version: string, system = '-'): void {
  board.offer(generation, version, system);
  board.settle();
}

test('a release runs on no system but its own: first the trial boot, then its services, then the commit', () => {
  const board = started();
  deploy(board, 1, 'a');
  deploy(board, 2, 'b', 'x');
  expect(board.ran.filter((line) => line.startsWith('b'))).toEqual(['b on x']);
  expect(board).toMatchObject({ booted: 'b', choice: { active: 'b' }, boots: 2 });
  expect(board.choice.trial).toBeUndefined();
  expect(board.record.system).toMatchObject({ id: 'x', slot: 'b' });
  expect(board.events).toContain('update.system-trial');
});

test('a system that does not boot takes its release with it, and no service of it ever started', () => {
  const board = started();
  deploy(board, 1, 'a');
  board.brokenSystems.add('x');
  deploy(board, 2, 'b', 'x');
  expect(board.ran.every((line) => !line.startsWith('b'))).toBe(true);
  expect(board).toMatchObject({ booted: 'a', services: 'a', record: { phase: 'rolled_back' } });
  expect(board.record.bad).toEqual(['b'.repeat(64)]);
  expect(board.record.reason?.message).toContain('its system x did not boot');
});

test('a release that does not get well on its system goes back to the system before', () => {
  const board = started();
  deploy(board, 1, 'a', 'x');
  board.illReleases.add('b');
  deploy(board, 2, 'b', 'y');
  expect(board).toMatchObject({ booted: 'b', services: 'a', record: { phase: 'rolled_back' } });
  expect(board.ran.at(-1)).toBe('a on x');
  expect(board.choice).toEqual({ active: 'b' });
});

test('a system that runs already is not booted again', () => {
  const board = started();
  deploy(board, 1, 'a', 'shipped');
  expect(board).toMatchObject({
    boots: 1,
    record: { phase: 'committed', system: { id: 'shipped', slot: 'a' } },
  });
  deploy(board, 2, 'b', 'x');
  deploy(board, 3, 'c', 'x');
  expect(board).toMatchObject({ boots: 2, services: 'c' });
});

test('by hand the release before comes back on the system that ran it, written anew where it had to go', () => {
  const board = started();
  deploy(board, 1, 'a', 'x');
  deploy(board, 2, 'b', 'y');
  board.illReleases.add('c');
  deploy(board, 3, 'c', 'z');
  expect(board.slots.b).toBe('z');
  board.step({ type: 'roll-back', by: 'ada' });
  board.settle();
  expect(board).toMatchObject({ services: 'a', booted: 'b', slots: { a: 'y', b: 'x' } });
});

test('a system that nobody can put back is not gone back to', () => {
  const board = started();
  deploy(board, 1, 'a');
  deploy(board, 2, 'b', 'x');
  board.illReleases.add('c');
  deploy(board, 3, 'c', 'z');
  board.step({ type: 'roll-back', by: 'ada' });
  board.settle();
  expect(board).toMatchObject({ services: 'a', booted: 'b', boots: 4 });
});

function lostBy(reason: BootReason): Board {
  const board = started();
  deploy(board, 1, 'a');
  board.offer(2, 'b', 'x');
  if (board.booted !== 'b' || board.services !== 'b') throw new Error('It is not on trial');
  board.reboot(reason);
  return board;
}

test('a trial that the power was cut in is tried anew, three times in all; one that ended otherwise is not', () => {
  const back = { booted: 'a', services: 'a', record: { phase: 'rolling_back' } };
  const cut = lostBy('lost-power');
  expect(cut).toMatchObject({ booted: 'b', services: 'b', record: { phase: 'switching' } });
  cut.reboot('lost-power');
  expect(cut).toMatchObject({ booted: 'b', services: 'b', record: { resumes: 3 } });
  cut.reboot('lost-power');
  expect(cut).toMatchObject(back);
  for (const reason of ['watchdog', 'panic', 'clean'] as const) expect(lostBy(reason)).toMatchObject(back);
});

test('an agent that dies anywhere on the way back, or to a newer release, mixes nothing', () => {
  const turns: ((board: Board) => void)[] = [
    (board) => board.step({ type: 'roll-back', by: 'ada' }),
    (board) => board.offer(3, 'c', '-'),
    (board) => {
      board.illReleases.add('c');
      deploy(board, 3, 'c', 'z');
    },
  ];
  for (const turn of turns)
    for (const onTrial of [true, false])
      for (let budget = 0; budget < 12; budget++) {
        const board = started();
        deploy(board, 1, 'a', 'x');
        board.offer(2, 'b', 'y');
        if (!onTrial) {
          board.settle();
          board.reboot('clean');
        }
        board.budget = budget;
        turn(board);
        board.budget = Number.POSITIVE_INFINITY;
        board.restartAgent();
        board.settle();
        const mixed = board.ran.filter(
          (line) => !['a on x', 'b on y', 'c on x', 'c on y', 'c on z'].includes(line),
        );
        expect(mixed.filter((line) => !line.startsWith('undefined'))).toEqual([]);
      }
});

test('a newer release leaves the trial of another', () => {
  const board = started();
  deploy(board, 1, 'a');
  board.offer(2, 'b', 'x');
  expect(board.booted).toBe('b');
  board.offer(3, 'c', '-');
  expect(board.booted).toBe('a');
  board.step({ type: 'manifest-checked', manifest: 'c', soakMs: 100 });
  board.step({ type: 'blobs-verified' });
  board.settle();
  expect(board.ran.at(-1)).toBe('c on shipped');
});

test('a board whose system does not load any more runs on the other one, and says so', () => {
  const board = started();
  deploy(board, 1, 'a', 'x');
  deploy(board, 2, 'b', 'y');
  board.brokenSystems.add('y');
  const { boots } = board;
  board.reboot('lost-power');
  expect(board).toMatchObject({ booted: 'b', services: 'b', boots: boots + 1 });
  expect(board.events.at(-1)).toBe('update.system-other');
});

test('below the floor a system that does not boot is left out of the release that stays', () => {
  const board = started();
  deploy(board, 1, 'a');
  board.durable = { ...board.durable, floors: { r: 1 } };
  board.start();
  board.brokenSystems.add('x');
  deploy(board, 2, 'b', 'x');
  expect(board).toMatchObject({ booted: 'a', services: 'b', choice: { active: 'a' } });
  expect(board.record.reason?.code).toBe('update.kept');
});

test('without slots, a record that names a system runs its services all the same', () => {
  const system = { id: 'x', slot: 'b' } as const;
  const current = { release: { name: 'r', version: 'a', manifest: 'a', generation: 1 }, manifest: 'a' };
  const record: UpdateRecord = { ...EMPTY_RECORD, phase: 'committed', system, current };
  const context = { device: 'd', board: 'b', at: 1, now: 1, facts: NOTHING_KNOWN };
  expect(advance(record, { type: 'started' }, context).effects).toEqual(['apply', 'collect']);
});

test('cut anywhere, a board comes to run one whole release on the system that its record names', () => {
  const system = fc.constantFrom('-', 'x', 'y', 'z');
  const brought = fc.record({ a: system, b: system, c: system });
  const deployment = fc.record({
    version: fc.constantFrom('a', 'b', 'c'),
    after: fc.constantFrom('settle', 'look', 'roll back', 'cut', 'agent crash'),
  });
  fc.assert(
    fc.property(
      brought,
      fc.array(deployment, { maxLength: 10 }),
      fc.array(fc.nat({ max: 40 }), { maxLength: 4 }),
      fc.subarray(['y', 'z']),
      fc.subarray(['b', 'c']),
      (brings, deployments, cuts, broken, ill) => {
        const board = started();
        for (const system of broken) board.brokenSystems.add(system);
        for (const version of ill) board.illReleases.add(version);
        const left = [...cuts];
        for (const [index, { version, after }] of deployments.entries()) {
          board.budget = left.shift() ?? Number.POSITIVE_INFINITY;
          board.offer(index + 1, version, brings[version]);
          if (after === 'settle') board.settle();
          if (after === 'look') board.look();
          if (after === 'roll back') board.step({ type: 'roll-back', by: 'ada' });
          board.budget = Number.POSITIVE_INFINITY;
          if (after === 'agent crash') board.restartAgent();
          else if (after === 'cut' || board.isDown) board.reboot('lost-power');
        }
        board.reboot('lost-power');
        board.settle();
        expect(board.brokenSystems.has(board.slots[board.booted])).toBe(false);
        expect(board.choice).toEqual({ active: board.booted });
        for (const line of board.ran) {
          const [version, system] = line.split(' on ') as [keyof typeof brings | 'undefined', string];
          const wanted = version === 'undefined' ? '-' : brings[version];
          expect(wanted === '-' || system === wanted, `${version} ran on ${system}, not on ${wanted}`).toBe(
            true,
          );
        }
        expect(board.services).toBe(board.record.current?.release.version);
        expect(['idle', 'committed', 'rolled_back', 'refused', 'fetching']).toContain(board.record.phase);
      },
    ),
    { numRuns: 500 },
  );
});
