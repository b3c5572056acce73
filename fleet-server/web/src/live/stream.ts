import { STREAM_URL } from '../api/endpoints.ts';
import type { StreamEvent } from '../api/types.ts';

export type LinkState = 'connecting' | 'live' | 'reconnecting';

export interface StreamHandlers {
  onEvent(event: StreamEvent): void;
  onState(state: LinkState): void;
  /** The stream is back after a gap: events were missed, so everything shown may be old. */
  onGap(): void;
}

const KINDS: readonly StreamEvent['kind'][] = [
  'device',
  'device-report',
  'post-mortem',
  'rollout',
  'release',
];
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** Holds one EventSource open. Returns the function that closes it for good. */
export function openStream(handlers: StreamHandlers): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryMs = RETRY_MIN_MS;
  let hadGap = false;

  const connect = () => {
    source = new EventSource(STREAM_URL, { withCredentials: true });
    source.addEventListener('open', () => {
      retryMs = RETRY_MIN_MS;
      handlers.onState('live');
      if (hadGap) handlers.onGap();
      hadGap = false;
    });
    source.addEventListener('error', () => {
      hadGap = true;
      handlers.onState('reconnecting');
      // The browser retries a broken connection by itself but gives up on a refusal (503, 401)
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (message: MessageEvent<string>) => {
        handlers.onEvent({ kind, data: JSON.parse(message.data) } as StreamEvent);
      });
    }
  };

  handlers.onState('connecting');
  connect();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
