import { useLinkState } from './live-provider.tsx';
import type { LinkState } from './stream.ts';

const WORDS: Record<LinkState, { label: string; title: string }> = {
  connecting: { label: 'Connecting', title: 'Opening the live stream' },
  live: { label: 'Live', title: 'This page updates by itself' },
  reconnecting: { label: 'Reconnecting', title: 'The server does not answer; what you see may be old' },
};

export function LiveIndicator() {
  const state = useLinkState();
  const { label, title } = WORDS[state];
  return (
    <span className={`live live-${state}`} role="status" title={title}>
      <span className="live-dot" aria-hidden="true" />
      {label}
    </span>
  );
}
