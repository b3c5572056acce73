import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { instancesOf, serviceOf } from '../instance-name.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { LeftLog } from './core/left-logs.ts';
import { runMark } from './k8s-line.ts';
import { LogFolder } from './log-folder.ts';
import { Spool, type SpoolPosition } from './spool.ts';

export interface LogPumpOptions {
  /** conmon's log files, on tmpfs: what conmon writes there without bound in time costs no flash. */
  spoolDir: string;
  /** A folder for each service, on disk. */
  logsDir: string;
  /** What a service's conmon has written in all; without it files that came and went unseen are not counted. */
  monitorWritten?: (service: string) => { pid: number; bytes: number } | undefined;
  /** At most once in ten seconds for a service, with what was dropped since. */
  onDropped?: (service: string, bytes: number) => void;
  /** Unix ms. */
  now?: () => number;
}

export interface LogStats {
  keptBytes: number;
  /** Since the device booted. */
  droppedBytes: number;
}

/** Size of a spool file for conmon; with the one that is still read a service holds twice this of tmpfs. */
export const SPOOL_BYTES = 256 * 1024;

const TICK_MS = 200;
const REPORT_MS = 10_000;
const DEFAULT_SIZE_BYTES = 4 * 1024 * 1024;
const DEFAULT_RATE_BYTES = 64 * 1024;
const BURST_SECONDS = 4;
/** One line of conmon fits. */
const BURST_MIN_BYTES = 16 * 1024;

/** What is remembered of a service beside its spool. */
interface Remembered {
  position: SpoolPosition;
  sizeBytes: number;
  rateBytes: number;
  droppedBytes: number;
}

interface Pumped {
  spool: Spool;
  folder: LogFolder;
  sizeBytes: number;
  rateBytes: number;
  /** Bytes that may be taken now. */
  allowance: number;
  droppedBytes: number;
  toldBytes: number;
  toldAt: number;
  remembered: string;
}

/** Takes the services' lines from their spools to disk, each at no more than its rate and to no more than its size. */
export class LogPump {
  readonly #options: LogPumpOptions;
  readonly #now: () => number;
  /** By instance; two of one service write to one folder. */
  readonly #services = new Map<string, Pumped>();
  readonly #folders = new Map<string, LogFolder>();
  #timer: NodeJS.Timeout | undefined;
  #tickedAt: number;

  constructor(options: LogPumpOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#tickedAt = this.#now();
    mkdirSync(options.spoolDir, { recursive: true, mode: 0o700 });
    // Services run on while the agent is away.
    for (const name of readdirSync(options.spoolDir)) {
      if (name.endsWith('.position')) this.#open(name.slice(0, -'.position'.length));
    }
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.tick();
    for (const { spool } of this.#services.values()) spool.close();
  }

  /** Before a service starts: sets its limits; a new specification has its first lines kept apart. */
  begin({ name, digest, resources: { logs } }: ServiceSpec): void {
    const pumped = this.#open(name);
    const isNew = pumped.folder.isNew(digest);
    if (isNew) this.#pump(name, pumped, Number.POSITIVE_INFINITY);
    pumped.sizeBytes = logs?.sizeBytes ?? DEFAULT_SIZE_BYTES;
    pumped.rateBytes = logs?.rateBytes ?? DEFAULT_RATE_BYTES;
    if (isNew) pumped.allowance = burstOf(pumped);
    pumped.folder.begin(digest, pumped.sizeBytes);
    pumped.spool.hold(runMark(this.#now()));
    this.#remember(name, pumped);
  }

  /** Moves what has come since the last tick. Does not throw: what cannot be kept is counted. */
  tick(): void {
    const now = this.#now();
    const seconds = Math.max(0, now - this.#tickedAt) / 1000;
    this.#tickedAt = now;
    for (const [service, pumped] of this.#services) {
      pumped.allowance = Math.min(burstOf(pumped), pumped.allowance + pumped.rateBytes * seconds);
      this.#pump(service, pumped, Math.floor(pumped.allowance));
      this.#report(service, pumped, now);
    }
  }

  stats(service: string): LogStats {
    const dropped = instancesOf(service).map((name) => this.#services.get(name)?.droppedBytes ?? 0);
    return {
      keptBytes: this.#folders.get(service)?.keptBytes ?? 0,
      droppedBytes: dropped.reduce((sum, bytes) => sum + bytes, 0),
    };
  }

  /** Logs of services that are none of these and have no monitor that writes any more. */
  leftBy(held: ReadonlySet<string>): LeftLog[] {
    const { logsDir, monitorWritten } = this.#options;
    const names = new Set([...foldersIn(logsDir), ...this.#folders.keys()]);
    const isWritten = (service: string): boolean =>
      instancesOf(service).some((name) => monitorWritten?.(name) !== undefined);
    return [...names]
      .filter((service) => !held.has(service) && !isWritten(service))
      .map((service) => {
        const folder = this.#folders.get(service) ?? new LogFolder(join(logsDir, service), 0);
        const { keptBytes: bytes, writtenAt } = folder;
        return { service, bytes, writtenAt };
      });
  }

  /** Removes the log of a service that is no longer wanted. */
  forget(service: string): void {
    this.#folderOf(service).remove();
    this.#folders.delete(service);
    for (const name of instancesOf(service)) {
      this.#services.get(name)?.spool.close();
      this.#services.delete(name);
      rmSync(this.#spoolPath(name), { force: true });
      rmSync(this.#positionPath(name), { force: true });
    }
  }

  #spoolPath(service: string): string {
    return join(this.#options.spoolDir, `${service}.log`);
  }

  #positionPath(service: string): string {
    return join(this.#options.spoolDir, `${service}.position`);
  }

  #open(service: string): Pumped {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    const remembered = readRemembered(this.#positionPath(service));
    const sizeBytes = remembered?.sizeBytes ?? DEFAULT_SIZE_BYTES;
    const rateBytes = remembered?.rateBytes ?? DEFAULT_RATE_BYTES;
    const written = (): ReturnType<NonNullable<LogPumpOptions['monitorWritten']>> =>
      this.#options.monitorWritten?.(service);
    const pumped: Pumped = {
      spool: new Spool(this.#spoolPath(service), written, remembered?.position),
      folder: this.#folderOf(serviceOf(service), sizeBytes),
      sizeBytes,
      rateBytes,
      allowance: burstOf({ rateBytes, sizeBytes }),
      droppedBytes: remembered?.droppedBytes ?? 0,
      toldBytes: remembered?.droppedBytes ?? 0,
      toldAt: 0,
      remembered: '',
    };
    this.#services.set(service, pumped);
    return pumped;
  }

  #folderOf(service: string, sizeBytes = DEFAULT_SIZE_BYTES): LogFolder {
    const known = this.#folders.get(service);
    if (known !== undefined) return known;
    const folder = new LogFolder(join(this.#options.logsDir, service), sizeBytes);
    this.#folders.set(service, folder);
    return folder;
  }

  #pump(service: string, pumped: Pumped, most: number): void {
    const { spool, folder } = pumped;
    const pieces: Buffer[] = [];
    const take = (lines: Buffer): void => void pieces.push(Buffer.from(lines));
    const lose = (bytes: number): void => {
      pumped.droppedBytes += bytes;
      pieces.push(dropMarker(bytes, this.#now()));
    };
    try {
      pumped.allowance -= Math.min(pumped.allowance, spool.read(most, take, lose));
    } catch {
      // A spool that cannot be read now is read at the next tick.
    }
    if (pieces.length === 0) return;
    const lines = Buffer.concat(pieces);
    pumped.droppedBytes += folder.append(lines);
    this.#remember(service, pumped);
  }

  #report(service: string, pumped: Pumped, now: number): void {
    const bytes = pumped.droppedBytes - pumped.toldBytes;
    if (bytes === 0 || now - pumped.toldAt < REPORT_MS) return;
    pumped.toldBytes = pumped.droppedBytes;
    pumped.toldAt = now;
    this.#options.onDropped?.(serviceOf(service), bytes);
  }

  /** On tmpfs, beside the spool: both are gone after a reboot. */
  #remember(service: string, pumped: Pumped): void {
    const { spool, sizeBytes, rateBytes, droppedBytes } = pumped;
    const text = JSON.stringify({
      position: spool.position,
      sizeBytes,
      rateBytes,
      droppedBytes,
    } satisfies Remembered);
    if (text === pumped.remembered) return;
    pumped.remembered = text;
    const path = this.#positionPath(service);
    try {
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch {
      // Without it some lines come twice after a restart of the agent.
    }
  }
}

const burstOf = ({ rateBytes, sizeBytes }: { rateBytes: number; sizeBytes: number }): number =>
  Math.min(sizeBytes / 2, Math.max(BURST_MIN_BYTES, rateBytes * BURST_SECONDS));

const dropMarker = (bytes: number, now: number): Buffer =>
  Buffer.from(`${new Date(now).toISOString()} stderr F wherry: ${bytes} bytes dropped\n`);

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

function readRemembered(path: string): Remembered | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Remembered;
  } catch {
    return undefined;
  }
}
