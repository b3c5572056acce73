import type { Admission } from '../../protocol/admission.ts';
import type { ReasonCode } from '../../protocol/reasons.ts';
import type { RehearsedService, RehearsedStep } from '../supervisor/core/rehearse.ts';
import type { Offered } from '../update/core/check.ts';
import type { ReleaseRef } from '../update/core/record.ts';
import type { Looked } from '../update/trust-watch.ts';
import type { AgentStatus } from './ports.ts';

/** What the device is offered and why it is not taken. Times are Unix milliseconds. */
export interface UpdateCheckAnswer extends Offered {
  /** The newest signed metadata, asked for just now; `no-server`: nobody to ask. */
  metadata: Looked | { state: 'no-server' };
  link: AgentStatus['link'];
}

/** A blob of a release and how it would come. */
export interface PlannedBlob {
  /** "service web, layer 2". */
  of: string;
  /** fs-verity digest. */
  digest: string;
  sizeBytes: number;
  /** `have`: on the disk. `partial`: the rest of it. `full`: whole, `bytes` as it travels where that is known. */
  how: 'have' | 'partial' | 'delta' | 'full';
  /** To be fetched. */
  bytes: number;
  /** The server is still making a delta: it may be less. */
  isBuilding?: true;
}

/** What a release would do to this device. Nothing is changed by asking. Times in milliseconds. */
export interface PlanAnswer {
  release: Pick<ReleaseRef, 'name' | 'version' | 'manifest'>;
  /** The folder that it was read from; absent when it is the one that the server offers. */
  folder?: string;
  /** The one in force. */
  current?: ReleaseRef;
  fetch: {
    bytes: number;
    haveBytes: number;
    deltaBytes: number;
    fullBytes: number;
    blobs: PlannedBlob[];
  };
  admission: Admission;
  disk: { freeBytes: number; neededBytes: number; fits: boolean };
  /** What would hold it now, told first what is waited for first. */
  waits: { code: ReasonCode; message: string }[];
  /** Its own agent or system takes over before its services do. */
  brings: { agent?: string; system?: string };
  steps: RehearsedStep[];
  services: RehearsedService[];
  totalMs: number;
}

export interface PlanRefused {
  refused: string;
  code: 'no-update' | 'update-refused' | 'source-failed';
}

/** What updates would do, without doing it. */
export interface PlanDesk {
  /** Asks the server now for the newest signed metadata, and trusts it as usual. */
  check(): Promise<UpdateCheckAnswer>;
  /** `folder`: an absolute path to an offline bundle; undefined: what the server offers. */
  plan(folder: string | undefined, signal: AbortSignal): Promise<PlanAnswer | PlanRefused>;
}
