import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Hears from the kernel, by `nft monitor`, of each change to a table, whoever makes it. When the monitor ends changes
 * may have gone unheard, so that counts as one; `resume` starts it again.
 */
export class RulesWatch {
  readonly #table: string;
  readonly #onChange: () => void;
  #child: ChildProcess | undefined;

  constructor(table: string, onChange: () => void) {
    this.#table = table;
    this.#onChange = onChange;
  }

  /** Idempotent. A machine on which it cannot run has the supervisor's own rounds. */
  resume(): void {
    if (this.#child !== undefined) return;
    // It ends with the agent, however that ends.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nft', 'monitor'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child = child;
    const ended = (): void => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#onChange();
    };
    child.on('error', ended);
    child.on('exit', ended);
    createInterface(child.stdout).on('line', (line) => {
      if (line.split(' ').includes(this.#table)) this.#onChange();
    });
  }

  stop(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
  }
}
