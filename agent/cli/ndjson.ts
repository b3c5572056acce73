import type { Readable } from 'node:stream';

/** Each line's document as it comes. A last line without its newline was cut off and is not given. */
export async function* ndjsonLines<T>(stream: Readable): AsyncGenerator<T> {
  stream.setEncoding('utf8');
  let rest = '';
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as T;
  }
}
