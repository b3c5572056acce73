import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Online } from './agent-view.ts';
import type { AgentConfig } from './config.ts';
import { enrol } from './enrolment/enrol.ts';
import { EnrolError } from './enrolment/enrol-error.ts';
import type { Identity } from './enrolment/identity.ts';
import { backoffMs } from './link/backoff.ts';
import type { EnrolmentDesk, EnrolRefused } from './local-api/enrol-port.ts';
import { systemClock } from './system-clock.ts';
import type { Outbox } from './update/ports.ts';

const ENROL_RETRY = { minMs: 2_000, maxMs: 300_000 };

export interface JoiningParts {
  config: AgentConfig;
  online: Online;
  outbox: Outbox;
  log: Logger;
  /** The device has an identity by now. */
  onJoined(identity: Identity): Promise<void>;
}

/** Takes a device into its fleet: by the join string of the configuration, tried until it works, or by hand. */
export class Joining implements EnrolmentDesk {
  readonly #parts: JoiningParts;
  #trying = new AbortController();
  #tried: Promise<void> = Promise.resolve();
  #isByHand = false;
  #isStopped = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** An identity that cannot be read is for a person to look at: enrolling anew would destroy the key. */
  start(): void {
    const { config, online } = this.#parts;
    if (online.connected !== undefined || online.isUnreadable === true || this.#isStopped) return;
    const { join: joinString } = config;
    if (joinString === undefined) {
      online.fault ??= 'the configuration holds no join string';
      return;
    }
    this.#trying = new AbortController();
    this.#tried = this.#untilDone(joinString, this.#trying.signal);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#trying.abort();
    await this.#tried;
  }

  async enrol({ join: joinString, name, by }: Parameters<EnrolmentDesk['enrol']>[0]) {
    const { config, online, outbox } = this.#parts;
    if (this.#isByHand)
      return refused('enrol-failed', 'Cannot enrol: another attempt is under way; wait for it');
    this.#isByHand = true;
    try {
      this.#trying.abort();
      await this.#tried;
      const isIn = alreadyIn(online, config);
      if (isIn) return isIn;
      const identity = await this.#once(joinString, name ?? config.name);
      const { device, tenant, mqtt } = identity;
      const server = `${mqtt.host}:${mqtt.port}`;
      const message = `${by} took this device into the fleet at ${server} as ${device}`;
      outbox.add({ kind: 'device', code: 'device.enrolled', message, at: systemClock.now() });
      await this.#parts.onJoined(identity);
      return { device, tenant, server };
    } catch (error) {
      if (!(error instanceof EnrolError)) throw error;
      return refused(error.code === 'unreachable' ? 'enrol-failed' : 'enrol-refused', error.message);
    } finally {
      this.#isByHand = false;
      this.start();
    }
  }

  #once(joinString: string, name: string): Promise<Identity> {
    const { board, stateDir } = this.#parts.config;
    const { platform } = board;
    return enrol({ joinString, name, board: board.name, platform, identityDir: join(stateDir, 'identity') });
  }

  async #untilDone(joinString: string, signal: AbortSignal): Promise<void> {
    const { config, online, log, onJoined } = this.#parts;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        return await onJoined(await this.#once(joinString, config.name));
      } catch (error) {
        online.fault = error instanceof Error ? error.message : String(error);
        const waitMs = backoffMs(attempt, ENROL_RETRY, Math.random());
        log.warn({ waitMs }, `${online.fault}; trying again in ${waitMs} ms`);
        await pause(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }
}

function alreadyIn(
  { connected, isUnreadable, fault }: Online,
  { stateDir }: AgentConfig,
): EnrolRefused | undefined {
  if (connected) {
    const { device, mqtt } = connected.identity;
    return refused(
      'enrol-refused',
      `Cannot enrol: this device is ${device} in the fleet at ${mqtt.host}:${mqtt.port} already; ` +
        `to leave it, stop the agent and delete ${stateDir}/identity`,
    );
  }
  return isUnreadable === true ? refused('enrol-refused', `Cannot enrol: ${fault}`) : undefined;
}

const refused = (code: EnrolRefused['code'], message: string): EnrolRefused => ({ code, refused: message });
