import type { Degradation, ServiceState, ServiceStatus } from '../../protocol/status.ts';

/** A service in full, for people: what the release asks for in words, beside what this device makes of it. */
export interface Inspection {
  service: string;
  state: ServiceState;
  since: number;
  /** "demo 1.0.0" */
  release?: string;
  specDigest: string;
  kind: 'container' | 'wasm';
  /** OCI runtime by its name in the configuration; absent = the agent's default. */
  runtime?: string;
  criticality: NonNullable<ServiceStatus['criticality']>;
  /** Within the container; `hostIds` are those of the host that stand for all of its users. */
  user: { uid: number; gid: number; hostIds?: { first: number; count: number } };
  /** `held` is read back from the kernel; absent when it does not run or the kernel has no such number; `used` likewise. */
  budgets: { what: string; asked: string; held?: string; used?: string }[];
  degraded: Degradation[];
  /** Everything in which it is less isolated than the default. */
  loosenings: string[];
  network: {
    mode: 'none' | 'host' | 'segments';
    segments: { name: string; isInternal: boolean; aliases: string[]; address?: string }[];
    ports: string[];
  };
  health?: { check: string; state?: NonNullable<ServiceStatus['health']>['state']; detail?: string };
  dependsOn: { service: string; until: 'started' | 'healthy' | 'completed' }[];
  restart: string;
  stop: string;
  devices: string[];
  secrets: string[];
  mounts: string[];
  /** Its shared-memory channels, and what it does there. */
  channels: string[];
  logs?: { keptBytes: number; droppedBytes: number };
}
