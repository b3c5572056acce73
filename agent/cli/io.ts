import type { Readable, Writable } from 'node:stream';
import type { ChaosPlaces } from './chaos/experiment.ts';
import type { Field } from './field.ts';
import type { MediaPlaces } from './media/sticks.ts';

/** The terminal as the CLI sees it; main.ts hands in the process's own. stdout is for data, stderr for words. */
export interface Io {
  stdout: Writable;
  stderr: Writable;
  stdin: Readable & { isTTY?: boolean };
  env: Record<string, string | undefined>;
  /** stdout is a terminal: colours, and lines that fit its width. */
  isTTY: boolean;
  /** Width of the terminal in characters. */
  columns: number;
  /** Both stdin and stdout; absent where either is something else. */
  terminal?: Terminal | undefined;
  /** Aborted by SIGINT and SIGTERM. */
  signal: AbortSignal;
  /** Unix time in milliseconds. */
  now: () => number;
  /** The device beside its agent. */
  field: Field;
  /** Where to look for sticks, when not where this kernel tells of them. */
  media?: MediaPlaces;
  /** What tells a development board, when not where a board has it. */
  chaos?: ChaosPlaces;
}

/** A terminal that a command takes over for a while. It is given back when the process ends, also by `process.exit`. */
export interface Terminal {
  size(): { columns: number; rows: number };
  /** Calls back after each change of the size; returns the un-subscribe. */
  watchSize(onChange: () => void): () => void;
  /** Keys one by one and unseen, Ctrl-C among them. */
  setRaw(isRaw: boolean): void;
  /** A screen of its own without a cursor, beside the one with the shell's lines. */
  setScreen(isOwn: boolean): void;
}

/** Resolves when the text is taken; rejects when the reader has gone. */
export function write(stream: Writable, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
