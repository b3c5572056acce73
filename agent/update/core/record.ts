import type { UpdatePhase } from '../../../protocol/messages.ts';
import type { Reason } from '../../../protocol/reasons.ts';
import type { UpdatePolicy } from '../../../protocol/update-policy.ts';
import type { Slot } from '../ports.ts';

export interface ReleaseRef {
  name: string;
  version: string;
  /** sha256 of the manifest, hex: the release's identity. */
  manifest: string;
  generation: number;
}

/** A release whose manifest and blobs this device has verified. */
export interface InstalledRelease {
  release: ReleaseRef;
  /** The manifest's exact text, so that a rollback needs no network. */
  manifest: string;
  /** Its counter in its line, as signed; absent = 0. */
  counter?: number | undefined;
  /** The agent that ran it; kept of the release before, to go back to. */
  agent?: string | undefined;
  /** The system that ran it; likewise. */
  system?: SystemInSlot | undefined;
  /** Id of the system that it brings for this board, whose blobs stay with it. */
  brings?: string | undefined;
}

/** A system, by its id (agent/system-slots/system-image.ts), and the slot it was put into. */
export interface SystemInSlot {
  id: string;
  slot: Slot;
  /** The boot in which it was decided to go back to it: until then the board has not been told. */
  decidedIn?: string | undefined;
}

/** The system that the device came with. */
export const SHIPPED_SYSTEM = 'shipped';

export interface IncomingSystem {
  id: string;
  /** Where it lies, whole; undefined until it is staged. */
  slot?: Slot | undefined;
  /** It is tried under this token; absent before the switch, and when it was what runs anyway. */
  trial?: { token: string; isReached?: true | undefined } | undefined;
}

export interface IncomingRelease {
  release: ReleaseRef;
  /** Undefined until it has been fetched and checked. */
  manifest: string | undefined;
  soakMs: number;
  /** Of the assignment. It and all below came after the first records and may be absent. */
  policy?: UpdatePolicy | undefined;
  /** Folder that it is taken from as far as it goes; absent = the fleet server. */
  from?: string | undefined;
  counter?: number | undefined;
  /** The agent that it brings, by the name of its folder; absent = none. */
  agent?: string | undefined;
  /** The system that it brings for this board; absent = none. */
  system?: IncomingSystem | undefined;
  /** When it was first accepted, Unix ms. */
  acceptedAt?: number | undefined;
  /** Who at the device agreed to it. */
  consent?: string | undefined;
  /** Put off by hand until, Unix ms. */
  deferredUntil?: number | undefined;
  /** Fetched and staged: it may switch without a network. */
  isReady?: true | undefined;
  /** When the switch began, Unix ms. */
  switchedAt?: number | undefined;
  /** The server was reached when the switch began, so it must be reached before the commit. */
  mustReach?: true | undefined;
}

/** All that an update remembers across a crash or a power cut. One ledger row: it changes as a whole or not at all. */
export interface UpdateRecord {
  v: 1;
  phase: UpdatePhase;
  /** Unix time in milliseconds at which the phase began. */
  since: number;
  /** What the phase is about: the release on the way, or the last one decided on. */
  about: ReleaseRef | undefined;
  reason: Reason | undefined;
  /** The newest assignment decided on, whatever became of it. Older generations are refused. */
  accepted: ReleaseRef | undefined;
  /** The committed release, and the one before it. */
  current: InstalledRelease | undefined;
  previous: InstalledRelease | undefined;
  incoming: IncomingRelease | undefined;
  /** Manifests (sha256) that failed here, newest last; forgotten when another release commits. */
  bad: string[];
  /** Agent starts since the switch began: a release that takes the agent down with it is rolled back. */
  resumes: number;
  /** Newest time that was seen signed, of an assignment or of the server's: a floor for the clock. Unix ms. */
  trustedTime: number;
  /** The fleet key that followed the one of enrolment, SPKI PEM; `enrolled` is the fingerprint of that one. */
  fleetKey?: { key: string; enrolled: string } | undefined;
  /** Signed floors by release line, as last seen: no release with a lower counter comes back. */
  floors?: Record<string, number> | undefined;
  /** The agent that runs when none is tried; absent while no release has brought one. */
  agent?: string | undefined;
  /** The system that boots when none is tried; absent while no release has brought one. */
  system?: SystemInSlot | undefined;
  /** Time in this phase, and time healthy without a break, counted in ticks: a clock that jumps shortens no soak. */
  phaseMs: number;
  healthyMs: number;
}

export const EMPTY_RECORD: UpdateRecord = {
  v: 1,
  phase: 'idle',
  since: 0,
  about: undefined,
  reason: undefined,
  accepted: undefined,
  current: undefined,
  previous: undefined,
  incoming: undefined,
  bad: [],
  resumes: 0,
  trustedTime: 0,
  phaseMs: 0,
  healthyMs: 0,
};

/** Whether the release keys have set a floor above it since it was installed. */
export const isBelowFloor = ({ floors }: UpdateRecord, { release, counter = 0 }: InstalledRelease): boolean =>
  counter < (floors?.[release.name] ?? 0);

/** The one release whose services run. Undefined: run nothing. */
export function inForce(record: UpdateRecord): InstalledRelease | undefined {
  const { phase, incoming, current } = record;
  if ((phase === 'switching' || phase === 'soaking') && incoming?.manifest !== undefined) {
    return { release: incoming.release, manifest: incoming.manifest };
  }
  return current;
}

/** The one agent that is to run. Undefined: whichever runs. */
export function agentWanted(record: UpdateRecord): { id: string; isTrial: boolean } | undefined {
  const { phase, incoming, agent } = record;
  const tried = phase === 'switching' || phase === 'soaking' ? incoming?.agent : undefined;
  if (tried !== undefined && tried !== agent) return { id: tried, isTrial: true };
  return agent === undefined ? undefined : { id: agent, isTrial: false };
}

export type WantedSystem =
  | { isTrial: true; id: string; slot: Slot; token: string }
  | { isTrial: false; id: string; slot: Slot; decidedIn: string | undefined };

/** The one system that the board is to run. Undefined: whichever runs. */
export function systemWanted({ phase, incoming, system }: UpdateRecord): WantedSystem | undefined {
  const tried = phase === 'switching' || phase === 'soaking' ? incoming?.system : undefined;
  if (tried?.slot !== undefined && tried.trial !== undefined)
    return { isTrial: true, id: tried.id, slot: tried.slot, token: tried.trial.token };
  return system && { isTrial: false, id: system.id, slot: system.slot, decidedIn: system.decidedIn };
}

/** Agents whose folders must not go. */
export const agentsHeld = ({ agent, previous, incoming }: UpdateRecord): Set<string> =>
  new Set([agent, previous?.agent, incoming?.agent].filter((id) => id !== undefined));

export const labelOf = (release: Pick<ReleaseRef, 'name' | 'version'>): string =>
  `${release.name} ${release.version}`;

/** Manifest, name and version: a name that does not belong to the manifest is another claim. */
export const isSameRelease = (a: ReleaseRef | undefined, b: ReleaseRef): boolean =>
  a?.manifest === b.manifest && a.name === b.name && a.version === b.version;
