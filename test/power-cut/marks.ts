import type { UpdateRecord } from '../../agent/update/core/record.ts';
import type { BlobStore, PartialBlob, UpdateLedger } from '../../agent/update/ports.ts';
import type { TrustedMetadata } from '../../agent/update/tuf/ports.ts';

/** What the agent holds to be durable, said at the moment from which it relies on it. */
export type Mark =
  | { type: 'record'; record: UpdateRecord }
  | { type: 'trust'; texts: unknown }
  | { type: 'piece'; verity: string; piece: number }
  | { type: 'leases'; holders: string[] }
  | { type: 'holds'; services: string[] }
  | { type: 'secrets'; contents: Record<string, string> }
  | { type: 'step'; step: number };

type Method = (...args: never[]) => unknown;

/** The object itself, but for these methods, which are given its own. */
function around<T extends object>(target: T, changed: { [K in keyof T]?: (own: T[K]) => T[K] }): T {
  return new Proxy(target, {
    get: (_target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') return member;
      const own = (member as Method).bind(target);
      const change = changed[key as keyof T] as ((own: Method) => Method) | undefined;
      return change ? change(own) : own;
    },
  });
}

export const markedLedger = (ledger: UpdateLedger, onRecord: (record: UpdateRecord) => void): UpdateLedger =>
  around(ledger, {
    record: (own) => (record, events) => {
      const isTaken = own(record, events);
      if (isTaken) onRecord(record);
      return isTaken;
    },
  });

export const markedTrust = (store: TrustedMetadata, onMark: (mark: Mark) => void): TrustedMetadata =>
  around(store, {
    save: (own) => async (texts) => {
      await own(texts);
      onMark({ type: 'trust', texts });
    },
  });

export const markedBlobs = (
  store: BlobStore,
  onMark: (mark: Mark) => void,
  onCollected: () => void,
): BlobStore =>
  around(store, {
    collect: (own) => (keep) => own(keep).finally(onCollected),
    resume: (own) => async (verity, size, leaves) =>
      around<PartialBlob>(await own(verity, size, leaves), {
        write: (write) => async (piece, data) => {
          const isGood = await write(piece, data);
          if (isGood) onMark({ type: 'piece', verity, piece });
          return isGood;
        },
      }),
  });
