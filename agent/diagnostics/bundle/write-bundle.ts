import { formatBytes } from '../../../protocol/quantities.ts';
import { fairShares } from '../core/fair-shares.ts';
import type { Redact } from '../core/redact.ts';
import { BUNDLE_LIMITS } from './limits.ts';
import type { Part } from './part.ts';

export interface BundleOptions {
  /** First lines: what it is of, by whom. */
  heading: readonly string[];
  parts: readonly Part[];
  redact: Redact;
  maxBytes: number;
  signal: AbortSignal;
}

const PART_MS = 15_000;
/** Of the contents and of a part's own heading, each part. */
const LINE_BYTES = 100;
const READ_AT_ONCE = 4;

interface ReadPart {
  title: string;
  keep: Part['keep'];
  content: Buffer;
}

/** A bundle as pieces of text, never more than `maxBytes` together. What is cut is said in the contents and in its place. */
export async function* writeBundle(options: BundleOptions): AsyncGenerator<Uint8Array> {
  const { redact, maxBytes, signal } = options;
  const parts = await readAll(options, signal);
  const heading = Buffer.from(redact(options.heading.join('\n')).slice(0, BUNDLE_LIMITS.minBytes / 4));
  const room = maxBytes - heading.length - parts.length * 2 * LINE_BYTES - 2 * LINE_BYTES;
  const shares = fairShares(
    parts.map(({ content }) => content.length),
    room,
  );
  const contents = parts.map(({ title, content }, index) => {
    const share = shares[index] ?? 0;
    const size = formatBytes(content.length);
    const told = share < content.length ? `CUT: ${formatBytes(share)} of ${size}` : size;
    return `${String(index + 1).padStart(3)}  ${title.padEnd(62)}${told}`;
  });
  let left = maxBytes;
  const atMost = (piece: Buffer): Buffer => {
    const taken = piece.subarray(0, left);
    left -= taken.length;
    return taken;
  };
  yield atMost(Buffer.concat([heading, Buffer.from(`\n\nContents\n${contents.join('\n')}\n`)]));
  for (const [index, part] of parts.entries()) {
    yield atMost(Buffer.from(`\n======== ${index + 1} ${part.title} ========\n`));
    yield atMost(cut(part, shares[index] ?? 0));
  }
}

async function readAll({ parts, redact }: BundleOptions, signal: AbortSignal): Promise<ReadPart[]> {
  const read: ReadPart[] = [];
  for (let at = 0; at < parts.length; at += READ_AT_ONCE) {
    signal.throwIfAborted();
    read.push(
      ...(await Promise.all(parts.slice(at, at + READ_AT_ONCE).map((part) => readOne(part, redact, signal)))),
    );
  }
  return read;
}

async function readOne({ title, keep, read }: Part, redact: Redact, signal: AbortSignal): Promise<ReadPart> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PART_MS)]);
  const late = new Promise<never>((_resolve, reject) => {
    limit.addEventListener('abort', () => reject(new Error('it took too long')), { once: true });
  });
  const text = await Promise.race([read(limit), late]).catch(
    (error: unknown) => `(not to be had: ${error instanceof Error ? error.message : String(error)})`,
  );
  // Before it is cut: half a secret would not be recognised.
  const content = Buffer.from(redact(text).trimEnd().concat('\n'));
  // A service chooses no name that would end the contents' line.
  return {
    title: redact(title)
      .replaceAll(/[^\x20-\x7e]/g, '?')
      .slice(0, 60),
    keep,
    content,
  };
}

/** At the end of a line where there is one; the share is kept also with the words that say so. */
function cut({ keep, content }: ReadPart, share: number): Buffer {
  if (share >= content.length) return content;
  const words = Buffer.from(`[cut: ${formatBytes(content.length - share)} left out]\n`);
  const room = Math.max(0, share - words.length);
  if (keep === 'head') {
    const end = content.subarray(0, room).lastIndexOf(10) + 1;
    return Buffer.concat([content.subarray(0, end), words]).subarray(0, share);
  }
  const start = content.indexOf(10, content.length - room) + 1;
  return Buffer.concat([
    words,
    room === 0 || start === 0 ? Buffer.alloc(0) : content.subarray(start),
  ]).subarray(0, share);
}
