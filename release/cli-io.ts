import type { Readable } from 'node:stream';
import { ReleaseError } from './errors.ts';

export interface ReleaseIo {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  env: Record<string, string | undefined>;
  /** A terminal may be asked; absent = nobody can. */
  stdin?: Readable | undefined;
  /** Ctrl-C; absent = nobody stops it. */
  signal?: AbortSignal | undefined;
}

export interface Invocation {
  values: Record<string, string | undefined>;
  /** Options that may be given more than once. */
  lists: Record<string, string[]>;
  flags: Record<string, boolean>;
  operands: string[];
  isJson: boolean;
  io: ReleaseIo;
}

/** stdout is data: one JSON object, or lines for people. */
export function print({ isJson, io }: Invocation, data: object, lines: string[]): void {
  io.stdout.write(isJson ? `${JSON.stringify(data)}\n` : lines.map((line) => `${line}\n`).join(''));
}

/** Progress goes to a terminal only. */
export function progress({ io }: Invocation, line: string): void {
  if ((io.stderr as { isTTY?: boolean }).isTTY) io.stderr.write(`${line}\n`);
}

/** An option, or the environment variable that stands in for it. */
export function need({ values, io }: Invocation, option: string, variable: string, what: string): string {
  const value = values[option] ?? io.env[variable];
  if (!value)
    throw new ReleaseError('usage', `Cannot go on: no ${what} is given; set --${option} or ${variable}`);
  return value;
}

export function days({ values }: Invocation): { expiresDays?: number } {
  const text = values['expires-days'];
  if (text === undefined) return {};
  if (!/^[1-9][0-9]{0,4}$/.test(text))
    throw new ReleaseError(
      'usage',
      `Cannot use --expires-days ${text}: it is not a number of days from 1 to 99999`,
    );
  return { expiresDays: Number(text) };
}

/** Columns padded to their widest cell. */
export function columns(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
