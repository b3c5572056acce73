/** Where the supervisor meets the machine. Adapters are named for the technology; only a main.ts constructs them. */
import type { ChannelStatus } from '../../protocol/channel-status.ts';
import type { ManifestService } from '../../protocol/manifest.ts';
import type { Reason } from '../../protocol/reasons.ts';
import type { Degradation, Pressure } from '../../protocol/status.ts';
import type { ServiceSpec } from './service-spec.ts';

/** A container as the machine shows it, whoever started it. */
export type ObservedContainer =
  | { service: string; specDigest: string; state: 'running'; pid: number; startedAt: number }
  /** `signal` is set when the process died of one. Exit status as the kernel gave it. */
  | {
      service: string;
      specDigest: string;
      state: 'exited';
      exitCode: number;
      signal: number | undefined;
      startedAt: number;
      exitedAt: number;
    }
  /** Neither running nor cleanly ended: a start or removal that was cut half-way. */
  | { service: string; specDigest: string | undefined; state: 'broken'; detail: string };

/** Where a container is put: what the other parts have made ready for it. */
export interface Place {
  rootfs: string;
  /** Network namespace to enter; undefined = an empty one of its own, or the host's, as the spec says. */
  netns?: string | undefined;
}

export interface Executed {
  exitCode: number;
  /** Both streams, at most 4 KiB. */
  output: string;
}

/** OCI runtime under conmon. Every method is idempotent: after a crash the caller observes and asks again. */
export interface ContainerRuntime {
  /** Containers of this agent's root, from disk and the kernel; spawns nothing. */
  observe(): Promise<ObservedContainer[]>;
  /**
   * Creates the container, lets `verify` look at it while its process still waits, then starts it.
   * When `verify` throws nothing of the service has run and the container is removed again. Resolves with the pid.
   * The place may still be in the making; when that fails the start fails with the same error, sooner or later: the
   * caller handles the rejection too.
   */
  start(
    spec: ServiceSpec,
    place: Place | Promise<Place>,
    verify: () => Promise<void>,
  ): Promise<{ pid: number }>;
  /** Runs a program in the container and resolves with how it ended; output is cut. Killed when the signal fires. */
  exec(service: string, args: readonly string[], signal: AbortSignal): Promise<Executed>;
  /** Signals the container's first process; a container that has ended is not an error. */
  kill(service: string, signal: string): Promise<void>;
  /** Kills whatever is left of the container and removes its runtime state, not its logs. */
  remove(service: string): Promise<void>;
  /** Calls back whenever a container's state may have changed (exit file, death). Returns the un-subscribe. */
  watch(onChange: () => void): () => void;
}

/** What a cgroup holds a service to. Absent = not asked for; swap 0 unless said. The words of the manifest. */
export type Budget = Pick<
  ManifestService['resources'],
  | 'memoryMaxBytes'
  | 'memoryHighBytes'
  | 'memoryMinBytes'
  | 'swapMaxBytes'
  | 'cpuMax'
  | 'cpuWeight'
  | 'cpuset'
  | 'pidsMax'
  | 'io'
>;

export interface CgroupUsage {
  memoryBytes: number;
  /** CPU time used since the cgroup was made, in microseconds. */
  cpuUsec: number;
  pids: number;
  throttledUsec: number;
  oomKills: number;
  /** Absent where this kernel does not count it. */
  memoryPeakBytes?: number;
  memoryHighEvents?: number;
  memoryPressure?: Pressure;
  ioPressure?: Pressure;
  cpuPressure?: Pressure;
  ioReadBytes?: number;
  ioWrittenBytes?: number;
}

/** One subtree of the kernel's cgroups that is Wherry's; nothing outside it is touched. */
export interface CgroupTree {
  /** Makes the parent and bounds it with the sum of the budgets. */
  prepare(total: Budget): Promise<void>;
  /** The `linux.cgroupsPath` of a service for the OCI runtime. */
  pathOf(service: string): string;
  /** Writes the budget (the cgroup exists). */
  apply(service: string, budget: Budget): Promise<void>;
  /** What the kernel holds now; undefined when there is no such cgroup. */
  read(service: string): Promise<Budget | undefined>;
  usage(service: string): Promise<CgroupUsage | undefined>;
  /** What of the budget this kernel cannot hold, by its name in the budget (`memoryHighBytes`, `io.weight`), and why. */
  degraded(budget: Budget): Degradation[];
  /** Puts the monitor of a service (conmon) where it cannot use more than a fixed small part of the board. */
  holdMonitor(service: string, pid: number): Promise<void>;
  /** Kills everything in the service's cgroup and removes it; absent is not an error. */
  remove(service: string): Promise<void>;
  /** Removes the whole subtree; fails when anything still runs in it. */
  destroy(): Promise<void>;
}

/** Where the memory of channels is charged, in the same subtree. No process stays there: the memory does. */
export interface ChannelCgroups {
  /** Makes it, or sets its limit again; returns the file that takes the pid of a process which is to be charged there. */
  make(channel: string, limitBytes: number): string;
  /**
   * What the kernel holds now; undefined when there is no such cgroup. `usedBytes`: pages of files in memory that are
   * charged to it, up to two seconds old.
   */
  read(channel: string): { limitBytes: number; usedBytes: number } | undefined;
  names(): string[];
  /** Absent is not an error. */
  remove(channel: string): Promise<void>;
}

/** A service whose container runs. */
export interface ChannelUse {
  service: string;
  /** Unix ms. */
  startedAt: number;
  /** Ids of the channels of its specification; undefined when nobody knows that any more. */
  channels: readonly string[] | undefined;
}

/**
 * Shared memory between services. It belongs to the agent: it is there before the first of its services starts and
 * until the last of them has ended, and outlives the agent itself.
 */
export interface Channels {
  /**
   * Makes the channels of these services, whole and with all their memory; what is there stays as it is. Resolves with
   * those that could not be had, by id, and why not.
   */
  prepare(services: readonly ServiceSpec[]): Promise<ReadonlyMap<string, Error>>;
  /** Tells the peers of each channel who runs, and removes the channels that nobody wants and no container has. */
  settle(services: readonly ServiceSpec[], running: readonly ChannelUse[]): Promise<void>;
  /** Compares all memory with what it should be and sets right what is not; counts what was lost since the last time. */
  check(): Promise<void>;
  /** By name, as the memory shows it now. */
  status(): ChannelStatus[];
  /** Calls back with what happens on a channel, and to whom. Returns the un-subscribe. */
  watch(onNews: (service: string | undefined, reason: Reason) => void): () => void;
  /** Removes everything. */
  destroy(): Promise<void>;
}

/** Root filesystems: EROFS layers, overlaid, with a writable tmpfs layer where the spec wants one; and the volumes. */
export interface RootfsStore {
  /** Mounts what the spec needs, its volumes too, and returns the root folder. Idempotent. */
  mount(spec: ServiceSpec): Promise<string>;
  /** Unmounts a service's root; layers no other service uses go too. Idempotent. */
  unmount(service: string): Promise<void>;
  /** Unmounts everything that is Wherry's under this root. */
  destroy(): Promise<void>;
}

/** Segments: bridges, addresses, names, rules and rates. Everything it makes carries the instance's name. */
export interface Networks {
  /**
   * Brings bridges, name service and rules to exactly what these services need; those that run are not cut. `standby`:
   * instances of services that have two, to which the service's name does not lead.
   */
  prepare(services: readonly ServiceSpec[], standby?: ReadonlySet<string>): Promise<void>;
  /** A network namespace for a service on segments, wired and rate-limited; undefined for one on none. Idempotent. */
  attach(spec: ServiceSpec): Promise<string | undefined>;
  /** Idempotent. */
  detach(service: string): Promise<void>;
  /** IPv4 addresses by segment, and bytes since it was attached; undefined for one that is not. */
  observe(service: string): NetworkUse | undefined;
  /** Sets again what somebody else took away (`nft flush ruleset`); resolves with what that was, by name. */
  repair(): Promise<string[]>;
  /** Calls back soon after somebody else has changed the rules that part segments. Returns the un-subscribe. */
  watch(onLost: () => void): () => void;
  /** Removes everything of this instance. */
  destroy(): Promise<void>;
}

export interface NetworkUse {
  addresses: Record<string, string>;
  receivedBytes: number;
  sentBytes: number;
}

/** Looks at a service as its health check says. */
export interface HealthProbe {
  /** Resolves with undefined when it is well, else with what is not, in a few words. Never rejects. */
  probe(spec: ServiceSpec, signal: AbortSignal): Promise<string | undefined>;
}

/** The device itself. */
export interface Host {
  /** Asks for an orderly reboot; resolves with 'accepted', or with why the device does not reboot now. */
  reboot(reason: string): Promise<string>;
}

/** The device as load shedding sees it; absent = the board does not tell. */
export interface DeviceStrain {
  /** PSI "some" of the last ten seconds, percent. */
  memoryPressure?: number;
  ioPressure?: number;
  temperatureCelsius?: number;
  isUnderVoltage?: boolean;
}

/** What the supervisor remembers of a service across its own crash: attempts, restarts, reasons. Durable at return. */
export interface ServiceMemory {
  /** Record by service name; the text is the supervisor's own JSON. */
  load(): Record<string, string>;
  save(service: string, record: string): void;
  forget(service: string): void;
}

export interface Clock {
  /** Unix time in milliseconds. */
  now(): number;
  /** Runs the callback once after `ms`; returns the cancel. */
  after(ms: number, run: () => void): () => void;
}
