import { REMOTE_LIMITS } from '../../protocol/remote-actions.ts';
import { type BatchLine, fitLine, takeBatch } from './core/log-batch.ts';
import { DONE, type End, type Question, unknownService } from './question.ts';
import type { Reply } from './reply.ts';

/** Lines that come soon after each other travel together. */
const GATHER_MS = 100;
const LINES_WAITING = 2048;

export async function answerLogs({ ask, view, reply }: Question): Promise<End> {
  const { service = '', logs = { tail: 0, follow: false } } = ask;
  const lines = view.logs(service, { ...logs, signal: reply.signal });
  if (!lines) return unknownService(service);
  reply.sendNow({});
  const backlog = new Backlog(lines, reply);
  for (let isMore = await backlog.comes(); isMore; isMore = await backlog.comes()) {
    await reply.pause(GATHER_MS);
    while (backlog.lines.length > 0 && !reply.signal.aborted)
      await reply.send({ lines: takeBatch(backlog.lines, REMOTE_LIMITS.pieceBytes, sizeOf) });
  }
  await backlog.read;
  return DONE;
}

const sizeOf = (line: BatchLine): number => Buffer.byteLength(JSON.stringify(line));

/** Lines that were read and not sent yet, bounded: the file keeps what does not go. */
class Backlog {
  readonly lines: BatchLine[] = [];
  /** Rejects with why the log could not be read on. */
  readonly read: Promise<void>;
  readonly #reply: Reply;
  #isRead = false;
  #changed = () => {};

  constructor(lines: AsyncIterable<BatchLine>, reply: Reply) {
    this.#reply = reply;
    reply.signal.addEventListener('abort', () => this.#changed());
    this.read = this.#take(lines).finally(() => {
      this.#isRead = true;
      this.#changed();
    });
    // Whoever sends hears of it at the end.
    this.read.catch(() => {});
  }

  /** False when nothing more comes. */
  async comes(): Promise<boolean> {
    while (this.lines.length === 0) {
      if (this.#isRead || this.#reply.signal.aborted) return false;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return !this.#reply.signal.aborted;
  }

  async #take(lines: AsyncIterable<BatchLine>): Promise<void> {
    for await (const line of lines) {
      this.lines.push(fitLine(line));
      this.#changed();
      while (this.lines.length >= LINES_WAITING && !this.#reply.signal.aborted)
        await this.#reply.pause(GATHER_MS);
    }
  }
}
