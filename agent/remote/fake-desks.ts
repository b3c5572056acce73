import type { ExecDesk, ExecRequest, ExecSession } from './ports.ts';

/** A program that says back what is typed, and ends with the number of bytes after "exit". */
class FakeProgram implements ExecSession {
  readonly sizes: [number, number][] = [];
  isClosed = false;
  readonly exitCode: Promise<number>;
  readonly #written: Uint8Array[] = [];
  #exit: (code: number) => void;
  #isOver = false;
  #changed = () => {};

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.exitCode = promise;
    this.#exit = resolve;
  }

  get output(): ExecSession['output'] {
    return this.#output();
  }

  async write(data: Uint8Array): Promise<void> {
    this.say(data);
  }

  say(data: Uint8Array): void {
    this.#written.push(data);
    this.#changed();
  }

  end(code: number): void {
    this.#isOver = true;
    this.#exit(code);
    this.#changed();
  }

  endInput(): void {
    this.end(0);
  }

  resize(columns: number, rows: number): void {
    this.sizes.push([columns, rows]);
  }

  close(): void {
    this.isClosed = true;
    if (!this.#isOver) this.end(137);
  }

  async *#output(): AsyncGenerator<{ stream: 'stdout'; data: Uint8Array }> {
    for (;;) {
      const data = this.#written.shift();
      if (data) yield { stream: 'stdout', data };
      else if (this.#isOver) return;
      else
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
    }
  }
}

export class FakeExecDesk implements ExecDesk {
  readonly opened: { service: string; request: ExecRequest; who: string; program: FakeProgram }[] = [];
  refusal: { refused: string; code: string } | undefined;

  open(service: string, request: ExecRequest, who: string): ReturnType<ExecDesk['open']> {
    if (this.refusal) return Promise.resolve(this.refusal);
    const program = new FakeProgram();
    this.opened.push({ service, request, who, program });
    return Promise.resolve(program);
  }
}
