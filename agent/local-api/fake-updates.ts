import type { LeaseAnswer, LeaseShown, PastUpdate, UpdateAnswer } from './answers.ts';
import { NOW } from './fake-status.ts';
import type { LeaseDesk, Updates, WishOutcome, WishRefused } from './ports.ts';

/** Updates that are data: tests set what is shown and refused, and read the wishes back. */
export class FakeUpdates implements Updates {
  shown: Omit<UpdateAnswer, 'leases'> = { phase: 'idle', since: NOW };
  past: PastUpdate[] = [];
  refusal: WishRefused | undefined;
  result: 'accepted' | 'held' = 'accepted';
  readonly wishes: string[] = [];
  readonly #leases: FakeLeases;

  constructor(leases: FakeLeases) {
    this.#leases = leases;
  }

  outlook(): UpdateAnswer {
    return { ...this.shown, leases: this.#leases.list() };
  }

  history(): PastUpdate[] {
    return this.past;
  }

  async apply(folder: string, by: string): Promise<WishOutcome> {
    const root = { version: 1, sha256: '5f'.repeat(32) };
    const answer = { wish: 'apply', result: this.result, release: 'demo 2.0.0', root } as const;
    return this.#wish(answer, `${by} from ${folder}`);
  }

  consent(by: string): WishOutcome {
    return this.#wish({ wish: 'consent', result: this.result, release: 'demo 2.0.0' }, by);
  }

  defer(forMs: number, by: string): WishOutcome {
    const until = NOW + forMs;
    return this.#wish({ wish: 'defer', result: this.result, release: 'demo 2.0.0', until }, by);
  }

  rollBack(by: string): WishOutcome {
    return this.#wish({ wish: 'rollback', result: this.result, release: 'demo 0.9.0' }, by);
  }

  #wish(answer: Exclude<WishOutcome, WishRefused>, by: string): WishOutcome {
    if (this.refusal) return this.refusal;
    this.wishes.push(`${by}: ${answer.wish}`);
    return answer;
  }
}

/** Leases in memory. */
export class FakeLeases implements LeaseDesk {
  held: LeaseShown[] = [];

  list(): LeaseShown[] {
    return this.held;
  }

  async take({ holder, why, forMs }: Parameters<LeaseDesk['take']>[0]): Promise<LeaseAnswer> {
    const until = NOW + forMs;
    this.held = [
      ...this.held.filter((lease) => lease.holder !== holder),
      { holder, why, until, kind: 'person' },
    ];
    return { holder, result: 'taken', until };
  }

  async release(holder: string): Promise<LeaseAnswer> {
    const others = this.held.filter((lease) => lease.holder !== holder);
    const isHeld = others.length < this.held.length;
    this.held = others;
    return { holder, result: isHeld ? 'released' : 'absent' };
  }
}
