import { setTimeout as pause } from 'node:timers/promises';
import { Aardvark } from './aardvark.ts';
import type { NameFiles } from './core/name-service.ts';

const END_MS = 2000;

/**
 * Two servers, as far as there is something to serve: the one for internal segments asks nobody and says at once that a
 * name does not exist, the other one asks the host's servers.
 */
export class NameServers {
  readonly #open: Aardvark;
  readonly #internal: Aardvark;

  constructor(folder: string) {
    this.#open = new Aardvark(folder, {});
    // Of aardvark-dns, src/dns/coredns.rs.
    this.#internal = new Aardvark(`${folder}-internal`, { AARDVARK_NO_PROXY: '1' });
  }

  async serve({ open, internal }: NameFiles): Promise<void> {
    // A segment that changes sides: its address must be free before the other server can have it.
    if (this.#open.serves(Object.keys(internal)) || this.#internal.serves(Object.keys(open))) {
      this.stop();
      await this.#ended();
    }
    await Promise.all([this.#open.serve(open), this.#internal.serve(internal)]);
  }

  isServing(): boolean {
    return this.#open.isServing() && this.#internal.isServing();
  }

  stop(): void {
    this.#open.stop();
    this.#internal.stop();
  }

  async #ended(): Promise<void> {
    for (let waitedMs = 0; waitedMs < END_MS; waitedMs += 5) {
      if (this.#open.hasEnded() && this.#internal.hasEnded()) return;
      await pause(5);
    }
  }
}
