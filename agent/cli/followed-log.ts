import { setTimeout as pause } from 'node:timers/promises';
import { LOCAL_API_LIMITS } from '../local-api/limits.ts';
import type { LogLine } from '../local-api/ports.ts';
import type { AgentClient } from './client.ts';
import { CliError } from './errors.ts';

/** Up to where a log was read: lines with this time, so many of them. */
export interface LogPosition {
  at: number;
  seen: number;
}

export interface Following {
  client: Pick<AgentClient, 'logs'>;
  service: string;
  /** Undefined: from its beginning. */
  from: LogPosition | undefined;
  signal: AbortSignal;
  /** The agent went away; its answer is waited for. */
  onAway(): Promise<void>;
}

const LOOK_AGAIN_MS = 500;
/** An agent that starts again, or has too many callers: it comes back. */
const AWAY: readonly string[] = ['agent-lost', 'agent-unreachable', 'agent-busy'];

export const advance = (position: LogPosition | undefined, { at }: LogLine): LogPosition =>
  position?.at === at ? { at, seen: position.seen + 1 } : { at, seen: 1 };

/** Lines from a position on, each once, also when the agent ends and starts again. Ends when the signal is aborted. */
export async function* followedLog(following: Following): AsyncGenerator<LogLine> {
  const { client, service, signal, onAway } = following;
  let position = following.from;
  for (
    let isAway = false;
    !signal.aborted;
    await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
  ) {
    const again = position;
    let skip = again?.seen ?? 0;
    const since = again && { sinceMs: again.at };
    const query = { tail: LOCAL_API_LIMITS.tailLines, follow: true, ...since, signal };
    try {
      for await (const line of client.logs(service, query)) {
        isAway = false;
        if (line.at === again?.at && skip > 0) skip -= 1;
        else {
          position = advance(position, line);
          yield line;
        }
      }
    } catch (error) {
      if (!(error instanceof CliError && AWAY.includes(error.code))) throw error;
    }
    if (signal.aborted) return;
    if (!isAway) await onAway();
    isAway = true;
  }
}
