import type { Kysely } from 'kysely';
import type { Role } from '../roles.ts';

/** Times are integer milliseconds, ids UUIDv7 text unless said otherwise, `…Json` columns hold JSON text. */
export interface Tables {
  devices: DeviceRow;
  deviceState: DeviceStateRow;
  deviceEvents: { deviceId: string; id: string; at: number; receivedAt: number; bodyJson: string };
  postMortems: PostMortemRow;
  serviceMetrics: MetricRow;
  releases: ReleaseRow;
  /** Published TUF metadata by object name; `text` is exactly what is served. */
  repositoryFiles: { name: string; text: string };
  repositoryRoles: { role: string; version: number; expiresAt: number };
  rollouts: RolloutRow;
  attempts: AttemptRow;
  enrolmentTokens: {
    tokenSha256: string;
    usesLeft: number;
    expiresAt: number;
    note: string | null;
    createdAt: number;
  };
  users: { name: string; passwordHash: string; role: Role };
  sessions: { tokenSha256: string; userName: string; expiresAt: number };
  apiTokens: {
    id: string;
    tokenSha256: string;
    userName: string;
    note: string;
    createdAt: number;
    /** At most; never more than its user has. */
    role: Role;
  };
  audit: { id: string; at: number; who: string; action: string; subject: string; detail: string };
}

export interface DeviceRow {
  /** The certificate's CN. */
  id: string;
  board: string;
  platform: string;
  enrolledAt: number;
  certificateSha256: string;
  certificateExpiresAt: number;
  blockedAt: number | null;
  desiredReleaseId: string | null;
  /** 0 = nothing was ever assigned. */
  desiredGeneration: number;
  /** UpdatePolicy of the assignment; null = asks for nothing. */
  desiredPolicyJson: string | null;
  /** Since when no rollout moves it, and who said so. */
  pinnedAt: number | null;
  pinnedBy: string | null;
}

export interface DeviceStateRow {
  deviceId: string;
  lastSeenAt: number;
  agentVersion: string | null;
  reportJson: string | null;
  currentManifest: string | null;
}

export interface PostMortemRow {
  deviceId: string;
  /** The device's own. */
  id: string;
  /** The device's clock; `receivedAt` is ours. */
  at: number;
  receivedAt: number;
  summaryJson: string;
  bodyJson: string;
}

export interface MetricRow {
  deviceId: string;
  service: string;
  at: number;
  memoryBytes: number;
  cpu: number;
  pids: number;
}

export interface ReleaseRow {
  id: string;
  name: string;
  version: string;
  manifestSha256: string;
  manifestJson: string;
  signedByJson: string;
  targetsVersion: number;
  uploadedAt: number;
  uploadedBy: string;
}

export interface RolloutRow {
  id: string;
  releaseId: string;
  state: 'running' | 'completed' | 'superseded';
  createdAt: number;
  createdBy: string;
  policyJson: string | null;
  /** Null = no limit of its own. */
  egressBytesPerSecond: number | null;
}

export interface AttemptRow {
  id: string;
  rolloutId: string;
  deviceId: string;
  state: string;
  generation: number;
  manifestSha256: string;
  progressJson: string | null;
  reasonJson: string | null;
  updatedAt: number;
}

export type Database = Kysely<Tables>;
