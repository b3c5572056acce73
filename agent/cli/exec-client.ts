import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { FRAME, FRAME_LIMITS, FrameReader, frame, frames, UPGRADE } from '../local-api/exec-frames.ts';
import type { ExecRequest } from '../local-api/exec-port.ts';
import type { Problem } from '../local-api/problems.ts';
import { agentIsLost, problemError } from './refusals.ts';

/** How long the agent may take until the program runs. Milliseconds. */
const OPENING_MS = 30_000;

/** A program that runs in the container of a service. */
export interface RunningProgram {
  /** Ends with the program. Throws CliError when the agent goes away before; ends quietly once the signal is aborted. */
  output(): AsyncGenerator<{ stream: 'stdout' | 'stderr'; data: Buffer }>;
  /** After the output has ended; undefined when it was cut off. */
  exitCode(): number | undefined;
  /** Resolves when there is room for more. */
  write(data: Uint8Array): Promise<void>;
  endInput(): void;
  resize(size: { columns: number; rows: number }): void;
  /** Goes away: the agent ends the program. */
  close(): void;
}

export interface ExecCall {
  socketPath: string;
  /** Of the service's `exec`. */
  path: string;
  signal: AbortSignal;
  opening: ExecRequest & { by: string };
  onRefused(response: IncomingMessage): Promise<Error>;
  onError(error: NodeJS.ErrnoException): Error;
}

/** Resolves when the program runs. Throws CliError, or AbortError once the signal is aborted. */
export async function openProgram(call: ExecCall): Promise<RunningProgram> {
  const { socket, head } = await upgraded(call);
  const program = new Connection(socket, call.signal);
  program.take(head);
  socket.write(frame(FRAME.open, call.opening));
  await program.opened;
  return program;
}

function upgraded({ socketPath, path, signal, onRefused, onError }: ExecCall) {
  return new Promise<{ socket: Socket; head: Buffer }>((resolve, reject) => {
    const headers = { connection: 'upgrade', upgrade: UPGRADE };
    const outgoing = request({ socketPath, path, headers, signal, agent: false, timeout: OPENING_MS });
    outgoing.once('upgrade', (_response, socket: Socket, head) => {
      socket.setTimeout(0);
      resolve({ socket, head });
    });
    outgoing.once('response', (response) => void onRefused(response).then(reject, reject));
    outgoing.once('timeout', () => outgoing.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
    outgoing.once('error', (error) => reject(signal.aborted ? error : onError(error)));
    outgoing.end();
  });
}

class Connection implements RunningProgram {
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #reader = new FrameReader();
  readonly #pieces: { stream: 'stdout' | 'stderr'; data: Buffer }[] = [];
  #wakeReader: () => void = () => undefined;
  #wakeWriter: () => void = () => undefined;
  #settle: (error?: Error) => void = () => undefined;
  #untakenBytes = 0;
  #exitCode: number | undefined;
  #failure: Error | undefined;
  #hasEnded = false;

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket;
    this.#signal = signal;
    this.opened = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    socket.on('data', (data) => this.take(data));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#end());
    if (signal.aborted) socket.destroy();
    else signal.addEventListener('abort', () => socket.destroy(), { once: true });
  }

  take(data: Buffer): void {
    try {
      for (const { kind, content } of this.#reader.push(data)) this.#takeFrame(kind, content);
    } catch (error) {
      this.#failure ??= agentIsLost('command', error);
      this.#socket.destroy();
    }
    if (this.#pieces.length > 0) this.#socket.pause();
    this.#wakeReader();
  }

  async *output(): AsyncGenerator<{ stream: 'stdout' | 'stderr'; data: Buffer }> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) yield piece;
      else if (this.#hasEnded) break;
      else {
        this.#socket.resume();
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
    if (this.#exitCode === undefined && !this.#signal.aborted)
      throw this.#failure ?? agentIsLost('command', undefined);
  }

  exitCode(): number | undefined {
    return this.#exitCode;
  }

  async write(data: Uint8Array): Promise<void> {
    this.#untakenBytes += data.length;
    for (const part of frames(FRAME.stdin, data)) this.#send(part);
    while (this.#untakenBytes > FRAME_LIMITS.windowBytes / 2 && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  endInput(): void {
    this.#send(frame(FRAME.endInput));
  }

  resize(size: { columns: number; rows: number }): void {
    this.#send(frame(FRAME.resize, size));
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(part: Buffer): void {
    if (this.#socket.writable) this.#socket.write(part);
  }

  #takeFrame(kind: number, content: Buffer): void {
    switch (kind) {
      case FRAME.opened:
        return this.#settle();
      case FRAME.refused:
        this.#failure = problemError(JSON.parse(content.toString()) as Problem);
        return this.#settle(this.#failure);
      case FRAME.stdout:
      case FRAME.stderr:
        this.#pieces.push({
          stream: kind === FRAME.stdout ? 'stdout' : 'stderr',
          data: Buffer.from(content),
        });
        return undefined;
      case FRAME.taken:
        this.#untakenBytes -= (JSON.parse(content.toString()) as { bytes: number }).bytes;
        return this.#wakeWriter();
      case FRAME.exit:
        this.#exitCode = (JSON.parse(content.toString()) as { code: number }).code;
        return undefined;
      default:
        // Of a newer agent.
        return undefined;
    }
  }

  #end(): void {
    this.#hasEnded = true;
    this.#settle(this.#failure ?? agentIsLost('command', undefined));
    this.#wakeReader();
    this.#wakeWriter();
  }
}
