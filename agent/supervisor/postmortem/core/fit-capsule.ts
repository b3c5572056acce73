import { LIMITS } from '../../../../protocol/limits.ts';
import type { Capsule } from '../capsule.ts';

export const CAPSULE_LIMITS = {
  files: 32,
  totalBytes: 1024 * 1024,
  fileBytes: LIMITS.postMortemBytes,
  logLines: 50,
  lineCharacters: 1024,
  reasons: 16,
} as const;

/** The capsule within its bounds; what goes first are the oldest log lines, then the oldest reasons. */
export function fitCapsule(capsule: Capsule, sizeOf: (text: string) => number): string {
  const { logLines, lineCharacters, reasons, fileBytes } = CAPSULE_LIMITS;
  const log = capsule.log
    .slice(-logLines)
    .map((line) => ({ ...line, text: line.text.slice(0, lineCharacters) }));
  let fitted: Capsule = { ...capsule, log, reasons: capsule.reasons.slice(0, reasons) };
  let text = JSON.stringify(fitted);
  while (sizeOf(text) > fileBytes && fitted.log.length > 0) {
    fitted = { ...fitted, log: fitted.log.slice(Math.ceil(fitted.log.length / 4)) };
    text = JSON.stringify(fitted);
  }
  while (sizeOf(text) > fileBytes && fitted.reasons.length > 0) {
    fitted = { ...fitted, reasons: fitted.reasons.slice(0, -1) };
    text = JSON.stringify(fitted);
  }
  return text;
}

/** Which files, oldest first, must go so that one more of `freshBytes` has room. */
export function filesToDrop(files: readonly { name: string; bytes: number }[], freshBytes: number): string[] {
  const dropped: string[] = [];
  let total = files.reduce((sum, { bytes }) => sum + bytes, freshBytes);
  let count = files.length + 1;
  for (const { name, bytes } of files) {
    if (count <= CAPSULE_LIMITS.files && total <= CAPSULE_LIMITS.totalBytes) break;
    dropped.push(name);
    total -= bytes;
    count--;
  }
  return dropped;
}
