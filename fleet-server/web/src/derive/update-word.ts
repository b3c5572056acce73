import type { DeviceSummary } from '../api/types.ts';
import { PHASE_WORDS, type Word } from '../format/words.ts';

/** The server wants another release than the device runs. */
export function isBehind({ desired, current }: DeviceSummary): boolean {
  if (!desired) return false;
  return desired.release.name !== current?.name || desired.release.version !== current.version;
}

/** It was given a release and has not begun with it: not up to date, whatever it last reported. */
export function isWaiting(device: DeviceSummary): boolean {
  const { updatePhase } = device;
  const isAtRest = updatePhase === null || updatePhase === 'idle' || updatePhase === 'committed';
  return isAtRest && isBehind(device);
}

export function updateWord(device: DeviceSummary): Word {
  const { updatePhase } = device;
  if (isWaiting(device)) return { label: 'Waiting', tone: 'quiet' };
  if (updatePhase === null || updatePhase === 'idle') {
    return device.current ? PHASE_WORDS.committed : { label: 'Nothing assigned', tone: 'quiet' };
  }
  return PHASE_WORDS[updatePhase];
}
