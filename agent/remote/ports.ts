import type { Answer } from '../../protocol/remote.ts';
import type { AgentView } from '../local-api/ports.ts';

/** Where the remote desk meets the rest of the agent. */

/** Of the agent, what a server may come to see and do. */
export type RemoteView = Pick<AgentView, 'status' | 'why' | 'holds' | 'logs' | 'exec' | 'bundle'>;

/** Reboots this device in order; rejects with why not. */
export type Reboot = (reason: string) => Promise<void>;

/** A session for answers, apart from the one that control goes over. */
export interface AnswerChannel {
  /** Connects when need be. Rejects when it cannot; `onLost` comes at most once, and nothing can be sent after it. */
  acquireAnswers(onLost: () => void, signal: AbortSignal): Promise<AnswerLease>;
}

export interface AnswerLease {
  answer(body: string): void;
  release(): void;
}

/** All but what makes it an answer to one ask. */
export type AnswerPart = Omit<Answer, 'v' | 'id' | 'sequence'>;
