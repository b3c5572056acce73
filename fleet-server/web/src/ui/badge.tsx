import type { Word } from '../format/words.ts';
import { ToneIcon } from './icon.tsx';

export function Badge({ word }: { word: Word }) {
  return (
    <span className={`badge tone-${word.tone}`}>
      <ToneIcon tone={word.tone} />
      {word.label}
    </span>
  );
}

export function OnlineDot({ isOnline }: { isOnline: boolean }) {
  return (
    <span className={isOnline ? 'online' : 'online is-offline'}>
      <span className="online-dot" aria-hidden="true" />
      {isOnline ? 'Online' : 'Offline'}
    </span>
  );
}
