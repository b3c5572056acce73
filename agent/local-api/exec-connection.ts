import type { Socket } from 'node:net';
import { FRAME, FRAME_LIMITS, type Frame, FrameReader, frame, frames } from './exec-frames.ts';
import { readOpening, sizeIn } from './exec-opening.ts';
import type { ExecSession } from './exec-port.ts';
import type { AgentView } from './ports.ts';
import { type Answer, problem } from './problems.ts';
import { fieldsOf } from './request-body.ts';
import { unknownService } from './unknown-service.ts';

const OPENING_MS = 10_000;

/**
 * One program for one caller, over a connection that has been upgraded. It is always read, whatever the program takes:
 * only so a caller that goes away is noticed at once. Resolves when the connection has ended, and nothing runs then.
 */
export async function serveExec(
  view: AgentView,
  service: string,
  socket: Socket,
  head: Buffer,
  onError: (error: unknown) => void,
): Promise<void> {
  const connection = new ExecConnection(view, service, socket, onError);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  // Node's HTTP server leaves its own half open.
  socket.on('end', () => socket.destroy());
  socket.setTimeout(OPENING_MS, () => socket.destroy());
  const take = (data: Buffer): void => {
    connection.take(data).catch((error: unknown) => {
      onError(error);
      socket.destroy();
    });
  };
  socket.on('data', take);
  if (head.length > 0) take(head);
  await closed;
  connection.end();
}

class ExecConnection {
  readonly #view: AgentView;
  readonly #service: string;
  readonly #socket: Socket;
  readonly #onError: (error: unknown) => void;
  readonly #reader = new FrameReader();
  #isOpening = false;
  #session: ExecSession | undefined;
  #hasEnded = false;
  /** Of stdin, given to the session and not yet taken by it. */
  #waitingBytes = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(view: AgentView, service: string, socket: Socket, onError: (error: unknown) => void) {
    this.#view = view;
    this.#onError = onError;
    this.#service = service;
    this.#socket = socket;
  }

  end(): void {
    this.#hasEnded = true;
    this.#session?.close();
  }

  async take(data: Buffer): Promise<void> {
    let whole: Frame[];
    try {
      whole = this.#reader.push(data);
    } catch (error) {
      return this.#refuse(problem('bad-body', (error as Error).message));
    }
    for (const each of whole) await this.#takeFrame(each);
  }

  #takeFrame({ kind, content }: Frame): Promise<void> | void {
    const session = this.#session;
    if (session === undefined) {
      if (kind === FRAME.open && !this.#isOpening) return this.#open(content);
      return this.#refuse(problem('bad-body', `Cannot take frame ${kind}: nothing is open yet`));
    }
    if (kind === FRAME.stdin) return this.#input(session, content);
    if (kind === FRAME.endInput) {
      this.#written = this.#written.then(() => session.endInput());
      return undefined;
    }
    const size = kind === FRAME.resize ? sizeIn(fieldsOf(content) ?? {}) : undefined;
    if (size === undefined) return this.#refuse(problem('bad-body', `Cannot take frame ${kind} now`));
    session.resize(size.columns, size.rows);
    return undefined;
  }

  async #open(content: Buffer): Promise<void> {
    this.#isOpening = true;
    const opening = readOpening(content);
    if (typeof opening === 'string') return this.#refuse(problem('bad-body', opening));
    const session = await this.#view.exec.open(this.#service, opening.request, opening.who);
    if ('refused' in session) {
      const isUnknown = session.code === 'unknown-service';
      return this.#refuse(
        isUnknown ? unknownService(this.#view, this.#service) : problem(session.code, session.refused),
      );
    }
    this.#session = session;
    if (this.#hasEnded) return session.close();
    this.#socket.setTimeout(0);
    this.#socket.write(frame(FRAME.opened));
    void this.#give(session).catch((error: unknown) => {
      this.#onError(error);
      this.#refuse(problem('internal', 'Cannot run it: the agent failed; its log says how'));
    });
    return undefined;
  }

  async #give(session: ExecSession): Promise<void> {
    for await (const { stream, data } of session.output) {
      for (const part of frames(FRAME[stream], data)) {
        if (!this.#socket.write(part)) await drained(this.#socket);
        if (this.#hasEnded) return;
      }
    }
    const code = await session.exitCode;
    this.#socket.end(frame(FRAME.exit, { code }));
  }

  #input(session: ExecSession, content: Buffer): Promise<void> | void {
    this.#waitingBytes += content.length;
    if (this.#waitingBytes > FRAME_LIMITS.windowBytes)
      return this.#refuse(problem('bad-body', 'Cannot take the input: more came than was asked for'));
    const data = Buffer.from(content);
    this.#written = this.#written.then(() => this.#write(session, data));
    return undefined;
  }

  async #write(session: ExecSession, data: Buffer): Promise<void> {
    await session.write(data);
    this.#waitingBytes -= data.length;
    if (!this.#hasEnded) this.#socket.write(frame(FRAME.taken, { bytes: data.length }));
  }

  #refuse(answer: Answer): void {
    this.#session?.close();
    if (answer.kind === 'problem') this.#socket.end(frame(FRAME.refused, answer.problem));
  }
}

/** Or closed: then nothing more is written. */
const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
