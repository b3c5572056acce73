import type { Get } from '../../../protocol/messages.ts';

export interface BulkListener {
  /** A dn/data message, not yet checked, in memory that is used again when this returns. */
  onData(message: Buffer): void;
  /** A dn/fault message, not yet checked. */
  onFault(message: Buffer): void;
  /** The session ended; nothing asked before will be answered. */
  onLost(): void;
}

/** The bulk session as a source sees it: connected only while somebody holds it. */
export interface BulkChannel {
  /** Connects when need be and resolves when gets may be sent. Rejects with SourceError. */
  acquire(listener: BulkListener, signal: AbortSignal): Promise<BulkLease>;
}

export interface BulkLease {
  send(get: Get): void;
  release(): void;
  /** The session gives no answer: it ends for all, and the next who wants one gets a new one. */
  drop(): void;
}
