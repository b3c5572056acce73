import type { Reason } from '../../../protocol/reasons.ts';
import type { DeviceHealth, ServiceStatus } from '../../../protocol/status.ts';

/** What is kept of a service that crashed, was killed for want of memory, or took its release down. */
export interface Capsule {
  v: 1;
  /** Names the capsule and its file; rises with time: "0000019a…-camera". */
  id: string;
  /** Unix ms. */
  at: number;
  kind: 'crash' | 'oom' | 'rollback';
  service: string;
  /** "demo 1.0.0"; absent before the first release. */
  release?: string | undefined;
  specDigest?: string | undefined;
  /** Newest first. */
  reasons: Reason[];
  exit?: { code: number; signal?: number | undefined } | undefined;
  budget?: ServiceStatus['budget'] | undefined;
  /** The last sample of its cgroup. */
  usage?: ServiceStatus['usage'] | undefined;
  oomKills?: number | undefined;
  /** The process that the kernel killed, where that is known. */
  oomKilled?: { pid: number; command: string } | undefined;
  device?:
    | Pick<
        DeviceHealth,
        'memoryAvailableBytes' | 'memoryPressure' | 'ioPressure' | 'cpuPressure' | 'temperatureCelsius'
      >
    | undefined;
  /** The last lines it wrote, oldest first. */
  log: { at: number; stream: 'stdout' | 'stderr'; text: string }[];
  bootId?: string | undefined;
}

/** A capsule before it has its name. */
export type CapsuleContent = Omit<Capsule, 'v' | 'id'>;

/** A capsule as a list shows it. */
export type CapsuleSummary = Pick<Capsule, 'id' | 'at' | 'kind' | 'service' | 'release'> & {
  message: string;
};
