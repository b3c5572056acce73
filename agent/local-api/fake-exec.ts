import type { ServiceStatus } from '../../protocol/status.ts';
import type { ExecDesk, ExecRefused, ExecRequest, ExecSession } from './exec-port.ts';

/** A program that is a script of the test: what it says, what it was told, and how it ends. */
export class FakeExecSession implements ExecSession {
  readonly sizes: string[] = [];
  stdin = '';
  hasInputEnded = false;
  isClosed = false;
  readonly #pieces: { stream: 'stdout' | 'stderr'; data: Uint8Array }[] = [];
  #code: number | undefined;
  #wake: () => void = () => undefined;

  say(text: string | Uint8Array, stream: 'stdout' | 'stderr' = 'stdout'): this {
    this.#pieces.push({ stream, data: Buffer.from(text) });
    this.#wake();
    return this;
  }

  exit(code: number): this {
    this.#code = code;
    this.#wake();
    return this;
  }

  get exitCode(): Promise<number> {
    return Promise.resolve(this.#code ?? 137);
  }

  get output(): AsyncIterable<{ stream: 'stdout' | 'stderr'; data: Uint8Array }> {
    return this.#output();
  }

  write(data: Uint8Array): Promise<void> {
    this.stdin += Buffer.from(data).toString('utf8');
    return Promise.resolve();
  }

  endInput(): void {
    this.hasInputEnded = true;
  }

  resize(columns: number, rows: number): void {
    this.sizes.push(`${columns}x${rows}`);
  }

  close(): void {
    this.isClosed = true;
    this.#wake();
  }

  async *#output() {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece) yield piece;
      else if (this.#code !== undefined || this.isClosed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** Refuses as the agent does; what runs is `next`, or a program that says nothing and ends with 0. */
export class FakeExecDesk implements ExecDesk {
  next: FakeExecSession[] = [];
  readonly opened: { service: string; request: ExecRequest; who: string }[] = [];
  readonly #find: (service: string) => ServiceStatus | undefined;

  constructor(find: (service: string) => ServiceStatus | undefined) {
    this.#find = find;
  }

  open(service: string, request: ExecRequest, who: string): Promise<ExecSession | ExecRefused> {
    const cannot = (code: ExecRefused['code'], fault: string): Promise<ExecRefused> =>
      Promise.resolve({
        code,
        refused: `Cannot run "${request.argv[0]}" in service "${service}": ${fault}`,
      });
    const status = this.#find(service);
    if (status === undefined) return cannot('unknown-service', 'the agent does not know it');
    if (status.kind === 'wasm')
      return cannot('exec-refused', 'it is a WebAssembly module, whose container has no other programs');
    if (status.pid === undefined)
      return cannot('not-running', `it is ${status.state.replaceAll('_', ' ')}; see wherry why ${service}`);
    this.opened.push({ service, request, who });
    return Promise.resolve(this.next.shift() ?? new FakeExecSession().exit(0));
  }
}
