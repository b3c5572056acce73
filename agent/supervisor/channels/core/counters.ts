import { ACK, RING, viewOf } from './layout.ts';

/** What a publisher's ring tells of it. What its service writes there is believed for counting only. */
export interface RingCounters {
  epoch: number;
  /** Published messages. */
  head: bigint;
  bytes: number;
  blocked: number;
  dropped: number;
  wakes: number;
  isWaiting: boolean;
}

/** What a subscriber's ack tells of one ring. */
export interface AckCounters {
  attachedEpoch: number;
  cursor: bigint;
  received: number;
  overruns: number;
  resets: number;
  torn: number;
}

const MOST = BigInt(Number.MAX_SAFE_INTEGER);
/** A hostile service can write any number there; JSON has none beyond this. */
const counted = (value: bigint): number => Number(value > MOST ? MOST : value);

/** `header`: the first bytes of a ring file; what is missing of it reads as 0. */
export function ringCounters(header: Uint8Array): RingCounters {
  const view = viewOf(padded(header, RING.countersEnd));
  const u64 = (at: number): bigint => view.getBigUint64(at, true);
  return {
    epoch: view.getUint32(RING.epoch, true),
    head: u64(RING.head64),
    bytes: counted(u64(RING.bytes)),
    blocked: counted(u64(RING.blocked)),
    dropped: counted(u64(RING.dropped)),
    wakes: counted(u64(RING.wakes)),
    isWaiting: view.getUint32(RING.waiting, true) !== 0,
  };
}

/** One for each ring of the channel. */
export function ackCounters(ack: Uint8Array, rings: number): AckCounters[] {
  const view = viewOf(padded(ack, rings * ACK.bytes));
  return Array.from({ length: rings }, (_, index) => {
    const at = index * ACK.bytes;
    const u64 = (offset: number): bigint => view.getBigUint64(at + offset, true);
    return {
      attachedEpoch: view.getUint32(at + ACK.attachedEpoch, true),
      cursor: u64(ACK.cursor),
      received: counted(u64(ACK.received)),
      overruns: counted(u64(ACK.overruns)),
      resets: counted(u64(ACK.resets)),
      torn: counted(u64(ACK.torn)),
    };
  });
}

/** Messages between a subscriber and the newest; 0 for one that claims to be ahead. */
export const lagOf = ({ head }: RingCounters, { cursor }: AckCounters): number =>
  head > cursor ? counted(head - cursor) : 0;

export const messagesOf = ({ head }: RingCounters): number => counted(head);

function padded(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}
