import { randomBytes } from 'node:crypto';
import type { Abilities } from '../../protocol/remote.ts';
import { REMOTE_ACTIONS, type RemoteAction } from '../../protocol/remote-actions.ts';
import type { AgentConfig } from '../config.ts';
import type { RemoteDesk, RemoteDeskOptions } from './remote-desk.ts';

export const allowedActions = (config: AgentConfig['remote']): RemoteAction[] =>
  REMOTE_ACTIONS.filter((action) => config?.[action] === true);

/** Where the server's requests come in. What answers them is read from disk with the first: most devices never need it. */
export class RemoteDoor {
  readonly #options: Omit<RemoteDeskOptions, 'allowed'>;
  readonly #actions: RemoteAction[];
  #session = '';
  #desk: Promise<RemoteDesk> | undefined;

  constructor(config: AgentConfig['remote'], options: Omit<RemoteDeskOptions, 'allowed'>) {
    this.#actions = allowedActions(config);
    this.#options = options;
  }

  /** What to tell the server in a control session that has just begun. */
  abilities(): Abilities {
    this.#session = randomBytes(16).toString('hex');
    this.#desk?.then((desk) => desk.opened(this.#session)).catch(() => {});
    return { v: 1, session: this.#session, at: this.#options.clock.now(), actions: this.#actions };
  }

  /** The control session is gone, and with it whoever waited for answers. */
  closed(): void {
    this.#desk?.then((desk) => desk.closed()).catch(() => {});
  }

  /** dn/ask: parsed JSON, not trusted. */
  asked(document: unknown): void {
    this.#load()
      .then((desk) => desk.asked(document))
      .catch((error: unknown) => {
        this.#desk = undefined;
        this.#options.log.warn({ error }, 'Cannot answer a request of the server');
      });
  }

  /** dn/more: parsed JSON, not trusted. Nothing is answered before something was asked. */
  more(document: unknown): void {
    this.#desk?.then((desk) => desk.more(document)).catch(() => {});
  }

  #load(): Promise<RemoteDesk> {
    this.#desk ??= import('./remote-desk.ts').then((code) => {
      const desk = new code.RemoteDesk({ ...this.#options, allowed: new Set(this.#actions) });
      desk.opened(this.#session);
      return desk;
    });
    return this.#desk;
  }
}
