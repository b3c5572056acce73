/** Bodies of the local API's answers. Additive only: the CLI prints them as its --json contract. */

import type { Reason } from '../../protocol/reasons.ts';
import type { ServiceState, ServiceStatus } from '../../protocol/status.ts';
import type { CapsuleSummary } from '../supervisor/postmortem/capsule.ts';

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
  /** Newest first. */
  reasons: Reason[];
}

export interface RestartAnswer {
  service: string;
  result: 'accepted';
}

export interface SecretsAnswer {
  /** By name: those on this device and those that the release in force wants. */
  secrets: SecretShown[];
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
