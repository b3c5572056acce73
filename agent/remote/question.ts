import type { Ask } from '../../protocol/remote.ts';
import type { AnswerPart, RemoteView } from './ports.ts';
import type { Reply } from './reply.ts';

export type End = NonNullable<AnswerPart['end']>;

export interface Question {
  ask: Ask;
  /** As events and reasons name who asked. */
  who: string;
  view: RemoteView;
  reply: Reply;
  /** Reboots when the answer has had time to leave. */
  rebootSoon(): void;
}

export const DONE: End = { code: 'done', message: '' };

export const unknownService = (service: string): End => ({
  code: 'unknown-service',
  message: `this device knows no service "${service}"`,
});
