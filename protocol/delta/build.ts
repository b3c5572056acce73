import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { isDense } from './compressible.ts';
import { type BlobBytes, encodeSegments } from './encode.ts';
import { likestOf } from './likest.ts';
import { encodeHeader, NO_DIGEST } from './table.ts';

export interface BlobFile {
  path: string;
  /** fs-verity digest, hex. */
  digest: string;
}

export interface BuiltDelta {
  /** Digest of the old blob that was taken; absent when there was none to take. */
  old?: string;
  /** Of the file that was written. */
  sha256: string;
  bytes: number;
  /** There was none to take, and the blob does not compress: nothing was written. */
  isVain?: true;
  /** About what a device that holds nothing would have to fetch instead. */
  plainBytes: number;
}

const COPY_BYTES = 1024 * 1024;

/**
 * Writes the delta to one blob file from the likest of others; without any, the compressed blob. Blocks the thread.
 */
export function buildDelta(
  next: BlobFile,
  olds: readonly BlobFile[],
  level: number,
  outPath: string,
  onSegment: () => void = () => {},
): BuiltDelta {
  const bodiesPath = `${outPath}.bodies`;
  const files = new OpenFiles();
  try {
    const nextBytes = files.blob(next.path);
    const candidates = olds.map(({ path }) => files.blob(path));
    const isVainAlone = isDense(nextBytes);
    const taken = likestOf(nextBytes, candidates, isVainAlone) ?? -1;
    const [old, oldBytes] = [olds[taken], candidates[taken]];
    if (!old && isVainAlone) {
      const sha256 = hash('sha256', Buffer.alloc(0), 'hex');
      return { isVain: true, sha256, bytes: nextBytes.bytes, plainBytes: nextBytes.bytes };
    }
    const bodies = files.open(bodiesPath, 'w+');
    const entries: Buffer[] = [];
    let bodyBytes = 0;
    let plainBytes = 0;
    for (const segment of encodeSegments(nextBytes, oldBytes, level)) {
      onSegment();
      entries.push(segment.entry);
      writeSync(bodies, segment.body);
      bodyBytes += segment.body.length;
      plainBytes += segment.plainBytes;
    }
    const table = Buffer.concat(entries);
    const header = encodeHeader({
      tableBytes: table.length,
      oldBytes: oldBytes?.bytes ?? 0,
      newBytes: nextBytes.bytes,
      oldDigest: old?.digest ?? NO_DIGEST,
      newDigest: next.digest,
    });
    const sha256 = writeWhole(files.open(outPath, 'w'), [header, table], bodies, bodyBytes);
    return {
      ...(old && { old: old.digest }),
      sha256,
      bytes: header.length + table.length + bodyBytes,
      plainBytes,
    };
  } finally {
    files.close();
    rmSync(bodiesPath, { force: true });
  }
}

/** Returns the sha256 of what was written. */
function writeWhole(out: number, front: Buffer[], bodies: number, bodyBytes: number): string {
  const whole = createHash('sha256');
  const put = (data: Buffer) => {
    whole.update(data);
    writeSync(out, data);
  };
  for (const data of front) put(data);
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  for (let at = 0; at < bodyBytes; at += COPY_BYTES) {
    const length = Math.min(COPY_BYTES, bodyBytes - at);
    readFully(bodies, buffer.subarray(0, length), at);
    put(buffer.subarray(0, length));
  }
  return whole.digest('hex');
}

class OpenFiles {
  readonly #files: number[] = [];

  open(path: string, flags: string): number {
    const file = openSync(path, flags, 0o644);
    this.#files.push(file);
    return file;
  }

  blob(path: string): BlobBytes {
    const file = this.open(path, 'r');
    return {
      bytes: fstatSync(file).size,
      read: (position, length) => {
        const out = Buffer.allocUnsafe(length);
        readFully(file, out, position);
        return out;
      },
    };
  }

  close(): void {
    for (const file of this.#files.splice(0)) closeSync(file);
  }
}

function readFully(file: number, into: Buffer, position: number): void {
  const bytes = readSync(file, into, 0, into.length, position);
  if (bytes !== into.length) throw new Error(`Cannot read the blob: it ends at ${position + bytes}`);
}
