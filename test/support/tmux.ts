import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { until } from './until.ts';

/** A terminal of 80x24 with a shell in it, in a tmux server of its own. */
export class TmuxTerminal {
  readonly #socket: string;

  constructor(dir: string, env: Record<string, string>) {
    this.#socket = join(dir, 'tmux.sock');
    const variables = Object.entries({ ...env, PS1: 'ready> ', HISTFILE: '' }).flatMap(([name, value]) => [
      '-e',
      `${name}=${value}`,
    ]);
    this.#tmux('-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', ...variables, 'sh');
  }

  type(text: string): void {
    this.#tmux('send-keys', '-l', text);
  }

  /** By tmux's names: Enter, C-c. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', ...keys);
  }

  resize(columns: number, rows: number): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** What a person sees now. */
  get screen(): string {
    return this.#tmux('capture-pane', '-p');
  }

  async shows(text: string | RegExp, timeoutMs = 20_000): Promise<string> {
    const isThere = (screen: string): boolean =>
      typeof text === 'string' ? screen.includes(text) : text.test(screen);
    return until(() => isThere(this.screen) && this.screen, {
      timeoutMs,
      what: `${text} on the screen`,
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it shows\n${this.screen}`);
    });
  }

  close(): void {
    this.#tmux('kill-server');
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-S', this.#socket, ...args], { encoding: 'utf8' });
  }
}
