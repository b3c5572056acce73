import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ServiceChannel } from '../service-spec.ts';
import { ringCounters } from './core/counters.ts';
import { RING, SLOT, viewOf } from './core/layout.ts';
import { lockOf, messagesToTake, readSlotHeader, slotOffset } from './core/slot.ts';
import { readBytes } from './tmpfs-files.ts';

export interface TappedMessage {
  publisher: string;
  /** From 0, of this publisher. */
  sequence: number;
  /** When it was published, Unix ms. */
  at: number;
  type: number;
  /** Bytes of the message; `data` may be less. */
  length: number;
  /** Messages of this publisher before it that were not shown. */
  lost: number;
  /** Base64. */
  data: string;
}

export interface TapOptions {
  /** The channel as it is now; undefined when it is gone, which ends the tap. */
  find(): { channel: ServiceChannel; path: string } | undefined;
  /** Of each message. */
  maxBytes: number;
  signal: AbortSignal;
}

const LOOK_MS = 50;
/** Of a ring in one look: reading along must not cost the agent more than a little of a core. */
const MESSAGES_A_LOOK = 64;
const BYTES_A_LOOK = 4 * 1024 * 1024;

/**
 * Messages as they come, from now on. Leaves no trace in the channel: nobody waits for it and nobody wakes it. It reads
 * files, so that nothing a publisher does to its ring can hurt the agent; what was overwritten meanwhile is passed over.
 */
export async function* tap({ find, maxBytes, signal }: TapOptions): AsyncGenerator<TappedMessage> {
  let path: string | undefined;
  let next = new Map<string, bigint>();
  const most = Math.max(1, Math.min(MESSAGES_A_LOOK, Math.floor(BYTES_A_LOOK / maxBytes)));
  while (!signal.aborted) {
    const found = find();
    if (found === undefined) return;
    if (found.path !== path) next = new Map();
    for (const publisher of found.channel.publishers) {
      const ring = { ...found, publisher };
      const head = headOf(ring);
      const start = next.get(publisher) ?? (path === undefined ? head : 0n);
      let { from, lost } = messagesToTake(found.channel.depth, start, head, most);
      for (; from < head && !signal.aborted; from++) {
        const message = readMessage(ring, from, maxBytes);
        if (message === undefined) lost += 1;
        else {
          yield { ...message, lost };
          lost = 0;
        }
      }
      next.set(publisher, head);
    }
    path = found.path;
    await pause(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface Ring {
  channel: ServiceChannel;
  path: string;
  publisher: string;
}

const fileOf = ({ path, publisher }: Ring): string => join(path, `ring.${publisher}`);

const headOf = (ring: Ring): bigint => ringCounters(readBytes(fileOf(ring), 0, RING.countersEnd)).head;

function readMessage(
  ring: Ring,
  sequence: bigint,
  maxBytes: number,
): Omit<TappedMessage, 'lost'> | undefined {
  const file = fileOf(ring);
  const at = slotOffset(ring.channel, sequence);
  const header = readSlotHeader(ring.channel, sequence, readBytes(file, at, SLOT.headerBytes));
  if (header === undefined) return undefined;
  const wanted = Math.min(header.length, maxBytes);
  const data = readBytes(file, at + SLOT.headerBytes, wanted);
  const lock = readBytes(file, at, 4);
  const isWhole = lock.length === 4 && viewOf(lock).getUint32(0, true) === lockOf(sequence);
  if (!isWhole || data.length < wanted) return undefined;
  return {
    publisher: ring.publisher,
    sequence: Number(sequence),
    at: wallTime(header.timestampNs),
    type: header.type,
    length: header.length,
    data: Buffer.from(data).toString('base64'),
  };
}

/** Node's high-resolution clock is CLOCK_MONOTONIC. A publisher may write any time there. */
function wallTime(monotonicNs: bigint): number {
  const ageMs = Number(process.hrtime.bigint() - monotonicNs) / 1e6;
  return Math.max(0, Math.round(Date.now() - ageMs));
}
