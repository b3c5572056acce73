export interface LogLine {
  /** When conmon read it, Unix ms. */
  at: number;
  stream: 'stdout' | 'stderr';
  text: string;
}

/** Longer lines are given in pieces of this many characters: a service cannot make a reader hold more. */
export const LINE_CHARACTERS = 64 * 1024;

const LINE = /^(\S+) (stdout|stderr) ([FP]) ?(.*)$/s;

/** Stands between the lines of two runs. Readers that do not know it drop it, as all that is no line. */
export const runMark = (at: number): string => `${new Date(at).toISOString()} run F\n`;

export const isRunMark = (raw: string): boolean => /^\S+ run F$/.test(raw);

/**
 * Joins the pieces of conmon's k8s-file format (`<RFC 3339 time> <stream> <P|F> <text>`, P = the line goes on).
 * Lines that are not of this format are dropped: the file may begin in the middle of one.
 */
export class LineJoiner {
  readonly #partial = new Map<string, LogLine>();

  /** The finished line, or undefined while it goes on. */
  push(raw: string): LogLine | undefined {
    const match = LINE.exec(raw);
    if (match === null) return undefined;
    const [, time = '', stream = 'stdout', flag, text = ''] = match;
    const before = this.#partial.get(stream);
    const line: LogLine = {
      at: before?.at ?? Date.parse(time),
      stream: stream as LogLine['stream'],
      text: (before?.text ?? '') + text,
    };
    this.#partial.delete(stream);
    if (flag === 'F' || line.text.length >= LINE_CHARACTERS) return line;
    this.#partial.set(stream, line);
    return undefined;
  }

  /** Lines that nobody will finish any more. */
  flush(): LogLine[] {
    const left = [...this.#partial.values()];
    this.#partial.clear();
    return left;
  }
}
