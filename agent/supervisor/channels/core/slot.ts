import { RING_HEADER_BYTES, strideOf } from '../../../../protocol/channels.ts';
import type { ServiceChannel } from '../../service-spec.ts';
import { SLOT, viewOf } from './layout.ts';

export interface SlotHeader {
  length: number;
  /** CLOCK_MONOTONIC of the publisher. */
  timestampNs: bigint;
  type: number;
}

/** Where message `sequence` of a ring lies, if it is still there. */
export const slotOffset = (channel: ServiceChannel, sequence: bigint): number =>
  RING_HEADER_BYTES + Number(sequence % BigInt(channel.depth)) * strideOf(channel.slotSizeBytes);

/** The lock word of a slot in which message `sequence` is whole. */
export const lockOf = (sequence: bigint): number => Number(BigInt.asUintN(32, 2n * sequence + 2n));

/** Undefined where another message is in the slot, or this one is being written. The length is never beyond the slot. */
export function readSlotHeader(
  { slotSizeBytes }: ServiceChannel,
  sequence: bigint,
  header: Uint8Array,
): SlotHeader | undefined {
  if (header.length < SLOT.headerBytes) return undefined;
  const view = viewOf(header);
  if (view.getUint32(0, true) !== lockOf(sequence)) return undefined;
  return {
    length: Math.min(view.getUint32(SLOT.length, true), slotSizeBytes),
    timestampNs: view.getBigUint64(SLOT.timestampNs, true),
    type: view.getUint32(SLOT.type, true),
  };
}

/**
 * Which messages one look takes: from `next`, but not those that are overwritten already, and of many the newest
 * `most` only. A count that went back begins anew.
 */
export function messagesToTake(
  depth: number,
  next: bigint,
  head: bigint,
  most: number,
): { from: bigint; lost: number } {
  if (head < next) return { from: head, lost: 0 };
  const behind = head - next;
  const kept = BigInt(Math.min(depth, most));
  if (behind <= kept) return { from: next, lost: 0 };
  const from = head - kept;
  return { from, lost: Number(from - next) };
}
