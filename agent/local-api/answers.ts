/** Bodies of the local API's answers. Additive only: the CLI prints them as its --json contract. */

import type { ChannelStatus } from '../../protocol/channel-status.ts';
import type { UpdatePhase } from '../../protocol/messages.ts';
import type { Reason, ReasonCode } from '../../protocol/reasons.ts';
import type { ServiceState, ServiceStatus } from '../../protocol/status.ts';
import type { KernelView } from '../supervisor/network/core/kernel-view.ts';
import type { CapsuleSummary } from '../supervisor/postmortem/capsule.ts';
import type { UpdateOutlook } from '../update/core/outlook.ts';

export interface VersionAnswer {
  version: string;
  /** Path prefix of the API. */
  api: 'v1';
  node: string;
}

export interface ServicesAnswer {
  services: ServiceStatus[];
}

export interface WhyAnswer {
  service: string;
  /** Absent, with `since`, when the release no longer holds the service. */
  state?: ServiceState;
  since?: number;
  /** Absent = a container. */
  kind?: NonNullable<ServiceStatus['kind']>;
  /** Somebody stopped it by hand; absent otherwise. */
  hold?: HoldShown;
  /** Newest first. */
  reasons: Reason[];
}

/** A stop by hand. Times are Unix milliseconds. */
export interface HoldShown {
  by: string;
  why?: string;
  since: number;
  /** When it ends by itself. */
  until: number;
}

export interface StopAnswer {
  service: string;
  result: 'held';
  /** When it starts again by itself, Unix milliseconds. */
  until: number;
  /** Services that depend on it: those that run run on, those that are to start wait. */
  dependants: string[];
  /** The disk of the agent does not take it: it lasts no longer than this agent, unless the disk is freed. */
  isUnsaved?: true;
}

export interface StartAnswer {
  service: string;
  /** `running`: there was nothing to do. */
  result: 'accepted' | 'running';
}

export interface ChannelsAnswer {
  /** When the counters were read, Unix ms. */
  at: number;
  /** By name. */
  channels: ChannelStatus[];
}

export interface RestartAnswer {
  service: string;
  result: 'accepted';
}

export interface SecretsAnswer {
  /** By name: those on this device and those that the release in force wants. */
  secrets: SecretShown[];
}

/** Networks of the services, as the kernel has them. */
export interface NetAnswer extends KernelView {
  /** When the kernel was asked, Unix ms. */
  at: number;
}

/** Never its content. */
export interface SecretShown {
  name: string;
  isHere: boolean;
  /** Services of the release in force that want it. */
  services: string[];
}

export interface SecretAnswer {
  secret: string;
  /** `absent`: there was none to remove. */
  result: 'put' | 'removed' | 'absent';
  services: string[];
}

export interface PostMortemsAnswer {
  /** Newest first. */
  postmortems: CapsuleSummary[];
}

/** Where an update stands, what it waits for and until when. Times are Unix milliseconds. */
export interface UpdateAnswer extends UpdateOutlook {
  leases: LeaseShown[];
}

export interface UpdateHistoryAnswer {
  /** Newest first; the agent keeps the last hundred. */
  events: PastUpdate[];
}

export interface PastUpdate {
  at: number;
  code: ReasonCode;
  message: string;
  phase?: UpdatePhase;
  /** "demo 2.0.0". */
  release?: string;
  generation?: number;
}

export interface UpdateWishAnswer {
  wish: 'apply' | 'consent' | 'defer' | 'rollback';
  /** `held`: the disk does not take it yet; the agent goes on trying. */
  result: 'accepted' | 'held';
  /** What it is about: of a rollback, the one gone back to. */
  release: string;
  /** A deferral's end, Unix milliseconds. */
  until?: number;
  /** Of `apply`: the root metadata by which the release must be signed. */
  root?: { version: number; sha256: string };
}

export interface LeasesAnswer {
  /** The one that holds longest first. */
  leases: LeaseShown[];
}

export interface LeaseShown {
  holder: string;
  why: string;
  until: number;
  /** Who holds it: somebody by name, or a service of the release. */
  kind: 'person' | 'service';
}

export interface LeaseAnswer {
  holder: string;
  /** `absent`: there was none to give back. */
  result: 'taken' | 'released' | 'absent';
  until?: number;
}
