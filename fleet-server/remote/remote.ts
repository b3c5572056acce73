import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import {
  type Abilities,
  type Answer,
  type Ask,
  checkAbilities,
  checkAnswer,
  type More,
} from '../../protocol/remote.ts';
import { REMOTE_LIFE_MS, REMOTE_LIMITS, type RemoteAction } from '../../protocol/remote-actions.ts';
import type { Broker } from '../broker/broker.ts';
import type { Peer } from '../broker/core/access.ts';
import { type ProblemCode, ProblemError } from '../problems.ts';
import { RateLimit } from '../rate-limit.ts';
import { type CallEnd, RemoteCall } from './remote-call.ts';

export type Wish = Pick<Ask, 'action' | 'service' | 'logs' | 'exec'>;

export interface RemoteOptions {
  broker: () => Pick<Broker, 'send' | 'isOpen'>;
  /** What a device may be asked has changed. */
  onChange(device: string): void;
  now: () => number;
  log: Logger;
  times?: Partial<RemoteTimes>;
}

export interface RemoteTimes {
  /** Until the first answer: the device may have to open a session for it. */
  answerMs: number;
  /** What a device may take longer than it was given. */
  graceMs: number;
}

interface Known {
  abilities: Abilities;
  /** What the device's clock is ahead of ours. */
  aheadMs: number;
  calls: Map<string, RemoteCall>;
}

const ENDS: Record<CallEnd['code'], ProblemCode> = {
  done: 'remote.lost',
  off: 'remote.off',
  stale: 'remote.stale',
  busy: 'remote.busy',
  'unknown-service': 'remote.service-unknown',
  refused: 'remote.refused',
  unsupported: 'remote.unsupported',
  over: 'remote.lost',
  failed: 'remote.failed',
  lost: 'remote.lost',
};

const TIMES: RemoteTimes = { answerMs: 15_000, graceMs: 5_000 };
/** At the same time, by all devices together. */
const CALLS = 200;

/** What users have devices tell and do while they look on. Nothing of it is kept: a device tells its abilities anew each session. */
export class Remote {
  readonly #options: RemoteOptions;
  readonly #times: RemoteTimes;
  readonly #devices = new Map<string, Known>();
  readonly #rate: RateLimit;
  #calls = 0;

  constructor(options: RemoteOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#rate = new RateLimit(REMOTE_LIMITS.asksPerMinute, 60_000, options.now);
  }

  /** What the device lets be asked for; null while it is away, or when its agent is of a version that knows nothing of it. */
  actions(device: string): string[] | null {
    return this.#devices.get(device)?.abilities.actions ?? null;
  }

  abilitiesTold(device: string, payload: Buffer): void {
    const checked = checkAbilities(parseJson(payload));
    if (!checked.ok) return this.#dropped(device, 'abilities', checked.faults);
    this.closed(device, 'control');
    const abilities = checked.value;
    this.#devices.set(device, { abilities, aheadMs: abilities.at - this.#options.now(), calls: new Map() });
    this.#options.onChange(device);
  }

  /** The device said what its clock shows. */
  clockSeen(device: string, at: number): void {
    const known = this.#devices.get(device);
    if (known) known.aheadMs = at - this.#options.now();
  }

  answered(device: string, payload: Buffer): void {
    if (payload.length > REMOTE_LIMITS.answerBytes)
      return this.#dropped(device, 'answer', ['it is too large']);
    const checked = checkAnswer(parseJson(payload));
    if (!checked.ok) return this.#dropped(device, 'answer', checked.faults);
    // Answers to what was not asked of this device, or not any more, are nobody's.
    this.#devices.get(device)?.calls.get(checked.value.id)?.push(checked.value, payload.length);
  }

  /** A session of the device ended; answers do not go on in another one. */
  closed(device: string, session: Peer['session']): void {
    const known = this.#devices.get(device);
    if (!known || (session !== 'control' && session !== 'bulk')) return;
    // One that has no answer yet may get it in the next session for answers.
    for (const call of known.calls.values())
      if (session === 'control' || call.hasBegun) call.cut('the connection to the device was lost');
    if (session === 'bulk') return;
    this.#devices.delete(device);
    this.#options.onChange(device);
  }

  /**
   * Resolves once the device has begun to answer. Throws ProblemError when it does not, or will not. `record` is awaited
   * before anything is sent.
   */
  async ask(
    device: string,
    {
      by,
      wish,
      record,
      signal,
    }: { by: string; wish: Wish; record: () => Promise<void>; signal: AbortSignal },
  ): Promise<{ call: RemoteCall; first: Answer }> {
    const known = this.#admit(device, wish);
    const call = this.#call(device, known, wish.action);
    try {
      const body = JSON.stringify({
        v: 1,
        id: call.id,
        session: known.abilities.session,
        expiresAt: Math.max(1, this.#options.now() + known.aheadMs + REMOTE_LIMITS.askMs),
        by,
        lifeMs: REMOTE_LIFE_MS[wish.action],
        ...wish,
      } satisfies Ask);
      if (Buffer.byteLength(body) > REMOTE_LIMITS.askBytes)
        throw new ProblemError('request.too-large', 'Cannot ask the device: the command is too long');
      await record();
      // QoS 0: what is lost is told to the user, who asks again; a reboot is never sent twice.
      await this.#options.broker().send(device, 'control', 'ask', body, 0);
      return { call, first: await this.#first(device, call, signal) };
    } catch (error) {
      call.leave();
      throw error;
    }
  }

  async #first(device: string, call: RemoteCall, signal: AbortSignal): Promise<Answer> {
    const leave = () => call.leave();
    const late = () => call.cut('it did not answer in time');
    const timer = setTimeout(late, this.#times.answerMs);
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    const first = await call.next();
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
    const end = first?.end ?? (first ? undefined : call.end);
    if (first && (end === undefined || end.code === 'done')) return first;
    const { code, message } = end ?? { code: 'lost' as const, message: '' };
    throw new ProblemError(ENDS[code], `Cannot ask device "${device}": ${message}`);
  }

  #admit(device: string, { action }: Wish): Known {
    const known = this.#devices.get(device);
    const sorry = (code: ProblemCode, what: string): ProblemError =>
      new ProblemError(code, `Cannot ask device "${device}": ${what}`);
    if (!this.#options.broker().isOpen(device, 'control'))
      throw sorry('remote.offline', 'it is not connected');
    if (!known)
      throw sorry(
        'remote.unsupported',
        'its agent does not take requests; give it a newer one, or wait a moment',
      );
    if (!known.abilities.actions.includes(action))
      throw sorry(
        'remote.off',
        `its configuration switches "${action}" off; set remote.${action} in its agent.json`,
      );
    if (known.calls.size >= REMOTE_LIMITS.streams || this.#calls >= CALLS)
      throw sorry('remote.busy', `it answers ${known.calls.size} requests now; close one and try again`);
    if (!this.#rate.take(device)) throw sorry('remote.busy', 'too many requests in a minute; wait a little');
    return known;
  }

  #call(device: string, { calls }: Known, action: RemoteAction): RemoteCall {
    const id = randomBytes(16).toString('hex');
    const { broker, now } = this.#options;
    const lifeMs = REMOTE_LIFE_MS[action];
    const timer = setTimeout(() => call.expire(), lifeMs + this.#times.graceMs);
    const call = new RemoteCall({
      id,
      endsAt: now() + lifeMs,
      more: (part) => {
        const body = JSON.stringify({ v: 1, id, ...part } satisfies More);
        void broker().send(device, 'control', 'more', body, 0);
      },
      onOver: () => {
        clearTimeout(timer);
        calls.delete(id);
        this.#calls--;
      },
    });
    this.#calls++;
    calls.set(id, call);
    return call;
  }

  #dropped(device: string, channel: string, faults: string[]): void {
    this.#options.log.warn({ device, channel, faults }, 'dropped a malformed message');
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}
