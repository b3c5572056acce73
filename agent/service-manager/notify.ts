import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Clock } from '../supervisor/ports.ts';
import type { Log } from '../update/ports.ts';

const run = promisify(execFile);
const PROGRAM = 'systemd-notify';
const PROGRAM_MS = 10_000;

/** What a service manager says to a process that it started: sd_notify(3), sd_watchdog_enabled(3). */
export interface ManagedBy {
  socket: string;
  /** Undefined when nobody watches. */
  watchdogMs: number | undefined;
}

/**
 * Takes what the service manager left in the environment out of it: conmon and the runtimes would take it for theirs
 * and speak in the agent's name. Undefined when no manager waits to hear from this process.
 */
export function takeManager(environment: NodeJS.ProcessEnv, pid: number): ManagedBy | undefined {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC, WATCHDOG_PID } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name];
  if (!socket) return undefined;
  const isWatched = WATCHDOG_USEC !== undefined && (WATCHDOG_PID ?? String(pid)) === String(pid);
  return { socket, watchdogMs: isWatched ? Number(WATCHDOG_USEC) / 1000 : undefined };
}

export interface ServiceManagerOptions {
  managedBy: ManagedBy;
  clock: Clock;
  log: Log;
  /** One line for `systemctl status`. */
  summary(): string;
  /** Whether the agent does its work, and does not only run. */
  isAlive(): boolean;
}

/** Speaks to the service manager through systemd-notify: Node has no datagram sockets of the Unix kind. */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  #cancel: () => void = () => undefined;
  #isStopping = false;
  #isSilent = false;

  constructor(options: ServiceManagerOptions) {
    this.#options = options;
  }

  async ready(): Promise<void> {
    await this.#tell(['READY=1', `STATUS=${this.#options.summary()}`]);
    this.#watch();
  }

  async stopping(): Promise<void> {
    this.#isStopping = true;
    this.#cancel();
    await this.#tell(['STOPPING=1', 'STATUS=Stopping']);
  }

  /** A third of the interval: one message that is lost or late kills nothing. */
  #watch(): void {
    const { managedBy, clock } = this.#options;
    if (managedBy.watchdogMs === undefined || this.#isStopping) return;
    this.#cancel = clock.after(managedBy.watchdogMs / 3, () => void this.#beat().then(() => this.#watch()));
  }

  async #beat(): Promise<void> {
    const { isAlive, summary, log } = this.#options;
    if (isAlive()) return this.#tell(['WATCHDOG=1', `STATUS=${summary()}`]);
    log.warn({}, 'The supervisor has not looked at its services for too long; the watchdog is no longer fed');
  }

  async #tell(assignments: string[]): Promise<void> {
    const { managedBy, log } = this.#options;
    try {
      const env = { PATH: process.env['PATH'], NOTIFY_SOCKET: managedBy.socket };
      await run(PROGRAM, assignments, { env, timeout: PROGRAM_MS });
      this.#isSilent = false;
    } catch (error) {
      if (!this.#isSilent) log.warn({ error }, `Cannot notify the service manager: ${String(error)}`);
      this.#isSilent = true;
    }
  }
}
