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

/** A capsule's file; `owner`: whom it is about. */
interface CapsuleFile {
  name: string;
  owner: string;
  bytes: number;
}

/**
 * Which files must go so that one more of `freshBytes` has room. `files`: oldest first. Always the oldest of whoever
 * has most: one that crashes all the time does not push out what the others left.
 */
export function filesToDrop(files: readonly CapsuleFile[], freshBytes: number): string[] {
  const { files: most, totalBytes } = CAPSULE_LIMITS;
  let kept = [...files];
  const hasRoom = () =>
    kept.length < most && kept.reduce((sum, { bytes }) => sum + bytes, freshBytes) <= totalBytes;
  while (kept.length > 0 && !hasRoom()) {
    const counts = new Map<string, number>();
    for (const { owner } of kept) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    const highest = Math.max(...counts.values());
    const index = kept.findIndex(({ owner }) => counts.get(owner) === highest);
    kept = kept.toSpliced(index, 1);
  }
  return files.filter((file) => !kept.includes(file)).map(({ name }) => name);
}
