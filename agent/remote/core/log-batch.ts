export interface BatchLine {
  at: number;
  stream: 'stdout' | 'stderr';
  text: string;
}

const LINE_CHARACTERS = 4096;
const BATCH_LINES = 1024;
const CUT = ' … (cut)';

/** A line as one answer can hold it. The schema counts characters, not UTF-16 units: a pair is never parted. */
export function fitLine({ at, stream, text }: BatchLine): BatchLine {
  if (text.length <= LINE_CHARACTERS) return { at, stream, text };
  const kept = text.slice(0, LINE_CHARACTERS - CUT.length).replace(/[\uD800-\uDBFF]$/, '');
  return { at, stream, text: `${kept}${CUT}` };
}

/** Takes off the front of `lines` what one answer holds: one line at least, and no more than `maxBytes` of several. */
export function takeBatch(
  lines: BatchLine[],
  maxBytes: number,
  sizeOf: (line: BatchLine) => number,
): BatchLine[] {
  let bytes = 0;
  let count = 0;
  for (const line of lines.slice(0, BATCH_LINES)) {
    bytes += sizeOf(line);
    if (count > 0 && bytes > maxBytes) break;
    count++;
  }
  return lines.splice(0, count);
}
