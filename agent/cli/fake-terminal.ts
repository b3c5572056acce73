import { Readable, Writable } from 'node:stream';
import { NOW } from '../local-api/fake-status.ts';
import type { Io } from './io.ts';
import { type GivenIo, runCli } from './run.ts';

/** Records what a person would see, in order; what went to stderr is marked "2> ". */
export class FakeTerminal {
  readonly stop = new AbortController();
  stdout = '';
  stderr = '';
  seen = '';
  readonly #io: GivenIo;

  constructor(change: Partial<Io> = {}) {
    this.#io = {
      stdout: this.#sink('stdout'),
      stderr: this.#sink('stderr'),
      stdin: Readable.from([Buffer.from('hunter2')]),
      env: { USER: 'ada' },
      isTTY: false,
      columns: 80,
      signal: this.stop.signal,
      now: () => NOW,
      ...change,
    };
  }

  run(...argv: string[]): Promise<number> {
    return runCli(argv, this.#io);
  }

  #sink(name: 'stdout' | 'stderr'): Writable {
    return new Writable({
      decodeStrings: false,
      write: (given: string | Buffer, _encoding, done) => {
        const text = given.toString();
        this[name] += text;
        this.seen += name === 'stdout' ? text : text.replaceAll(/^(?=.)/gm, '2> ');
        done();
      },
    });
  }
}
