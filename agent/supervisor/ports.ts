/** Where the supervisor meets the machine. Adapters are named for the technology; only a main.ts constructs them. */
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

/** OCI runtime under conmon. Every method is idempotent: after a crash the caller observes and asks again. */
export interface ContainerRuntime {
  /** Containers of this agent's root, from disk and the kernel; spawns nothing. */
  observe(): Promise<ObservedContainer[]>;
  /**
   * Creates the container, lets `verify` look at it while its process still waits, then starts it.
   * When `verify` throws nothing of the service has run and the container is removed again. Resolves with the pid.
   */
  start(spec: ServiceSpec, rootfs: string, verify: () => Promise<void>): Promise<{ pid: number }>;
  /** Signals the container's first process; a container that has ended is not an error. */
  kill(service: string, signal: string): Promise<void>;
  /** Kills whatever is left of the container and removes its runtime state, not its logs. */
  remove(service: string): Promise<void>;
  /** Calls back whenever a container's state may have changed (exit file, death). Returns the un-subscribe. */
  watch(onChange: () => void): () => void;
}

export interface Budget {
  memoryMaxBytes: number;
  cpuMax: number;
  pidsMax: number;
}

export interface CgroupUsage {
  memoryBytes: number;
  /** CPU time used since the cgroup was made, in microseconds. */
  cpuUsec: number;
  pids: number;
  throttledUsec: number;
  oomKills: number;
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
  /** Kills everything in the service's cgroup and removes it; absent is not an error. */
  remove(service: string): Promise<void>;
  /** Removes the whole subtree; fails when anything still runs in it. */
  destroy(): Promise<void>;
}

/** Root filesystems: EROFS layers, overlaid, with a writable tmpfs layer where the spec wants one; and the volumes. */
export interface RootfsStore {
  /** Mounts what the spec needs and returns the root folder. Idempotent. */
  mount(spec: ServiceSpec): Promise<string>;
  /** Unmounts a service's root; layers no other service uses go too. Idempotent. */
  unmount(service: string): Promise<void>;
  /** Host folder of a sized shared volume, mounted on first use. */
  volume(name: string, sizeBytes: number, gid: number): Promise<string>;
  /** Unmounts everything that is Wherry's under this root. */
  destroy(): Promise<void>;
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
