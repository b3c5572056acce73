import type { ReasonCode } from '../../protocol/reasons.ts';
import { type Ask, checkAsk, checkMore } from '../../protocol/remote.ts';
import { REMOTE_LIFE_MS, type RemoteAction } from '../../protocol/remote-actions.ts';
import type { Clock } from '../supervisor/ports.ts';
import type { Log, Outbox } from '../update/ports.ts';
import { ANSWERS, DEEDS } from './answers.ts';
import { type GateMemory, judge } from './core/gate.ts';
import type { AnswerChannel, Reboot, RemoteView } from './ports.ts';
import type { End } from './question.ts';
import { Reply } from './reply.ts';

export interface RemoteDeskOptions {
  allowed: ReadonlySet<RemoteAction>;
  view(): RemoteView;
  reboot: Reboot;
  channel: AnswerChannel;
  outbox: Outbox;
  clock: Clock;
  log: Log;
}

/** The answer leaves first. */
const REBOOT_MS = 1_000;
const MESSAGE_CHARACTERS = 1024;
/** As long as a name on this device may be. */
const WHO_CHARACTERS = 64;
const WHO_SUFFIX = ' (server)';
const OVER: End = { code: 'over', message: 'its time is over' };

/** Answers what the server asks for somebody: checked, counted, told in an event, bounded in time and bytes. */
export class RemoteDesk {
  readonly #options: RemoteDeskOptions;
  readonly #replies = new Map<string, Reply>();
  /** Asks that were taken or refused and are not answered to the end. */
  #open = 0;
  #session = new AbortController();
  #memory: GateMemory = { session: '', seen: new Map(), recent: [] };

  constructor(options: RemoteDeskOptions) {
    this.#options = options;
  }

  /** A control session began: nothing that was asked in another counts any more. */
  opened(session: string): void {
    this.closed();
    this.#memory = { ...this.#memory, session, seen: new Map() };
  }

  closed(): void {
    this.#session.abort();
    this.#session = new AbortController();
    for (const reply of this.#replies.values()) reply.abort();
  }

  /** dn/ask: parsed JSON, not trusted. */
  asked(document: unknown): void {
    const { log, clock, allowed } = this.#options;
    const checked = checkAsk(document);
    if (!checked.ok) return log.warn({ faults: checked.faults }, 'Dropped a request that cannot be read');
    const ask = checked.value;
    const device = { now: clock.now(), open: this.#open, allowed };
    const { verdict, memory } = judge(ask, this.#memory, device);
    this.#memory = memory;
    if (verdict.kind === 'drop')
      return log.warn({ id: ask.id, action: ask.action }, `Dropped a request: ${verdict.why}`);
    // Durable before anything is done.
    if (verdict.kind === 'take') this.#tell('remote.asked', `${whoOf(ask)} ${DEEDS[ask.action](ask)}`, ask);
    else if (verdict.code === 'off')
      this.#tell('remote.refused', `${whoOf(ask)} asked for "${ask.action}", which is switched off`, ask);
    const refusal = verdict.kind === 'refuse' ? { code: verdict.code, message: verdict.message } : undefined;
    this.#answer(ask, refusal).catch((error: unknown) =>
      log.warn({ error, action: ask.action }, 'A request of the server was not answered'),
    );
  }

  /** dn/more: parsed JSON, not trusted. */
  more(document: unknown): void {
    const checked = checkMore(document);
    if (checked.ok) this.#replies.get(checked.value.id)?.take(checked.value);
    else this.#options.log.warn({ faults: checked.faults }, 'Dropped a message that cannot be read');
  }

  async #answer(ask: Ask, refusal: End | undefined): Promise<void> {
    const { channel, clock } = this.#options;
    const { signal } = this.#session;
    let reply: Reply | undefined;
    this.#open++;
    try {
      const lease = await channel.acquireAnswers(() => reply?.abort(), signal);
      const lifeMs = Math.min(ask.lifeMs, REMOTE_LIFE_MS[ask.action]);
      reply = new Reply({ id: ask.id, lifeMs }, lease, clock);
      if (refusal) return reply.sendNow({ end: refusal });
      this.#replies.set(ask.id, reply);
      const end = await this.#run(ask, reply);
      if (!signal.aborted) reply.sendNow({ end: reply.isOver ? OVER : end });
    } finally {
      this.#open--;
      this.#replies.delete(ask.id);
      reply?.close();
    }
  }

  async #run(ask: Ask, reply: Reply): Promise<End> {
    const who = whoOf(ask);
    try {
      return await ANSWERS[ask.action]({
        ask,
        who,
        view: this.#options.view(),
        reply,
        rebootSoon: () => this.#rebootSoon(who),
      });
    } catch (error) {
      return { code: 'failed', message: wordsOf(error) };
    }
  }

  #rebootSoon(who: string): void {
    const { clock, reboot } = this.#options;
    clock.after(REBOOT_MS, () => {
      reboot(`${who} asked for it`).catch((error: unknown) =>
        this.#tell('device.reboot-refused', `${who} asked for a reboot: ${wordsOf(error)}`),
      );
    });
  }

  #tell(code: ReasonCode, message: string, { service }: Pick<Ask, 'service'> = {}): void {
    const { outbox, clock } = this.#options;
    const at = clock.now();
    outbox.add({
      kind: 'device',
      code,
      message: message.slice(0, MESSAGE_CHARACTERS),
      at,
      ...(service && { service }),
    });
  }
}

const whoOf = ({ by }: Ask): string => `${by.slice(0, WHO_CHARACTERS - WHO_SUFFIX.length)}${WHO_SUFFIX}`;

const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_CHARACTERS);
