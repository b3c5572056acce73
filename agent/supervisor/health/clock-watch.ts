import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../ports.ts';
import {
  type ClockState,
  type ClockWord,
  clockState,
  readChrony,
  readNtp,
  readTimex,
} from './core/clock-state.ts';

export interface ClockWatchOptions {
  clock: Pick<Clock, 'after'>;
  /** What the program prints; rejects when it is not there or fails. */
  runProgram(program: string, args: readonly string[]): Promise<string>;
  /** Where daemons leave their files: /run. */
  folder: string;
  arch: string;
}

/** Programs are asked this often: a clock that is held seldom lets go. */
const HELD_MS = 600_000;
const FREE_MS = 60_000;
/** adjtimex(2) by architecture. */
const ADJTIMEX: Partial<Record<string, string>> = { x64: '159', arm64: '171' };
/**
 * Node has no way to the call; perl-base is on every Debian. The 208 bytes are a 64-bit `struct timex`, its status is at
 * 40; with no mode set it is only read, which needs no right.
 */
const SCRIPT = String.raw`
my $timex = "\0" x 208;
my $returned = syscall($ARGV[0], $timex);
print $returned, " ", unpack("i", substr($timex, 40, 4)), "\n";
`;

/** Whether anything holds the device's clock: the kernel's own word, and those of the daemons that run. */
export class ClockWatch {
  readonly #options: ClockWatchOptions;
  #words: ClockWord[] = [];
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#lookAndGoOn();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  state(): ClockState {
    return clockState([this.#timesyncd(), ...this.#words]);
  }

  /** Asks anew. Never rejects. */
  async look(): Promise<void> {
    const { folder, arch } = this.#options;
    const call = ADJTIMEX[arch];
    this.#words = await Promise.all([
      call && this.#ask(readTimex, 'perl', ['-e', SCRIPT, call]),
      existsSync(join(folder, 'chrony')) && this.#ask(readChrony, 'chronyc', ['-c', 'tracking']),
      existsSync(join(folder, 'ntpd.pid')) && this.#ask(readNtp, 'ntpq', ['-c', 'rv 0 leap']),
    ]).then((words) => words.flatMap((word) => word || []));
  }

  async #lookAndGoOn(): Promise<void> {
    await this.look();
    if (this.#isStopped) return;
    const ms = this.state() === 'synchronised' ? HELD_MS : FREE_MS;
    this.#cancel = this.#options.clock.after(ms, () => this.start());
  }

  async #ask(
    read: (text: string) => ClockWord,
    program: string,
    args: readonly string[],
  ): Promise<ClockWord> {
    return read(await this.#options.runProgram(program, args).catch(() => ''));
  }

  /** systemd-timesyncd leaves a file once it has the time. */
  #timesyncd(): ClockWord {
    const folder = join(this.#options.folder, 'systemd/timesync');
    if (!existsSync(folder)) return undefined;
    return existsSync(join(folder, 'synchronized')) ? 'synchronised' : 'unsynchronised';
  }
}
