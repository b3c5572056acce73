/**
 * What travels on a connection of `exec`, both ways: a byte that says what, four of length (big-endian), the content.
 * Numbers are additive only.
 */
export const FRAME = {
  /** To the agent. `open` is the first: JSON of ExecOpening. */
  open: 1,
  stdin: 2,
  endInput: 3,
  /** JSON {"columns", "rows"}. */
  resize: 4,
  /** From the agent. `refused`: JSON of a Problem. */
  opened: 16,
  refused: 17,
  stdout: 18,
  stderr: 19,
  /** JSON {"bytes"}: of stdin, taken since the last one. */
  taken: 20,
  /** JSON {"code"}: the last one. */
  exit: 21,
} as const;

export const FRAME_LIMITS = {
  contentBytes: 64 * 1024,
  /** Of stdin on the way, not yet `taken`: the agent cuts off who sends more. */
  windowBytes: 256 * 1024,
} as const;

export const UPGRADE = 'wherry-exec';

export interface Frame {
  kind: number;
  content: Buffer;
}

const HEAD_BYTES = 5;

export function frame(kind: number, content: Uint8Array | object = new Uint8Array()): Buffer {
  const bytes = content instanceof Uint8Array ? content : Buffer.from(JSON.stringify(content));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(kind, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Data of any length as frames of at most the limit. */
export function frames(kind: number, data: Uint8Array): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += FRAME_LIMITS.contentBytes)
    parts.push(frame(kind, data.subarray(at, at + FRAME_LIMITS.contentBytes)));
  return parts;
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  #rest = Buffer.alloc(0);

  /** Those that are whole by now. Throws on one that is too long. */
  push(data: Uint8Array): Frame[] {
    let bytes = this.#rest.length === 0 ? Buffer.from(data) : Buffer.concat([this.#rest, data]);
    const whole: Frame[] = [];
    while (bytes.length >= HEAD_BYTES) {
      const length = bytes.readUInt32BE(1);
      if (length > FRAME_LIMITS.contentBytes)
        throw new Error(
          `Cannot read a frame: it has ${length} bytes; wanted at most ${FRAME_LIMITS.contentBytes}`,
        );
      if (bytes.length < HEAD_BYTES + length) break;
      whole.push({ kind: bytes.readUInt8(0), content: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length) });
      bytes = bytes.subarray(HEAD_BYTES + length);
    }
    this.#rest = bytes;
    return whole;
  }
}
