import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What a command in the board left. `exitCode` 124: it took longer than it was given. */
export interface CommandResult {
  exitCode: number;
  /** stdout and stderr as they came. */
  output: string;
}

/** Waits this much longer than the board itself for a command's end. */
const ANSWER_MS = 30_000;

/** Runs shell commands in a board, one at a time, over the virtio port that boards/rootfs' board-control listens on. */
export class ControlChannel {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, { answer(result: CommandResult): void; fail(reason: string): void }>();
  #bootId: string | undefined;
  #text = '';
  #last: Promise<unknown> = Promise.resolve();
  #number = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (piece: string) => this.#take(piece));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      for (const { fail } of this.#waiting.values()) fail('the board is off');
    });
  }

  static async open(path: string): Promise<ControlChannel> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new ControlChannel(socket);
  }

  /** The kernel's id of the boot whose control has spoken last; undefined before the first. */
  get bootId(): string | undefined {
    return this.#bootId;
  }

  run(command: string, timeoutMs = 60_000): Promise<CommandResult> {
    const mine = this.#last.then(() => this.#send(command, timeoutMs));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(command: string, timeoutMs: number): Promise<CommandResult> {
    this.#number += 1;
    const number = String(this.#number);
    const seconds = Math.ceil(timeoutMs / 1000);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(number);
      };
      const waiter = {
        answer: (result: CommandResult) => {
          end();
          resolve(result);
        },
        fail: (reason: string) => {
          end();
          reject(new Error(`Cannot run "${command.slice(0, 80)}" in the board: ${reason}`));
        },
      };
      const timer = setTimeout(() => waiter.fail(`it did not answer in ${seconds} s`), timeoutMs + ANSWER_MS);
      this.#waiting.set(number, waiter);
      if (this.#socket.destroyed) waiter.fail('the board is off');
      this.#socket.write(`${number} ${seconds} ${Buffer.from(command).toString('base64')}\n`);
    });
  }

  #take(piece: string): void {
    const lines = (this.#text + piece).split('\n');
    this.#text = lines.pop() ?? '';
    for (const line of lines) {
      const [first = '', second = '', output = ''] = line.trim().split(' ');
      if (first === 'ready') this.#bootId = second;
      this.#waiting.get(first)?.answer({
        exitCode: Number(second),
        output: Buffer.from(output, 'base64').toString(),
      });
    }
  }
}
