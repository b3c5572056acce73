import { setTimeout as pause } from 'node:timers/promises';
import { parseDurationMs } from '../../../protocol/quantities.ts';
import { usage } from '../arguments.ts';
import type { Call, Command } from '../command.ts';
import { TOP_ORDERS, type TopLook, type TopOrder, topFrame } from '../core/top.ts';
import { type TopPage, topLines } from '../core/top-lines.ts';
import { EXIT } from '../exit-codes.ts';
import { type Terminal, write } from '../io.ts';
import { clockTime } from '../timestamp.ts';

export const top: Command = {
  name: 'top',
  summary: 'what services use of their budgets, live',
  description:
    'Shows what every service uses, each second anew, until q or Ctrl-C: CPU in cores and memory against budget, ' +
    'pressure (percent of the last 10 s in which something waited for memory, io or the CPU), how much of the time ' +
    'the CPU budget held it back (with ! while load is shed), restarts, kills for want of memory, and messages a ' +
    'second on channels (with ! where some were lost). The most CPU comes first; the keys c m p t r n order by CPU, memory, ' +
    'pressure, throttling, restarts or name. Without a terminal one frame is printed.',
  operands: [],
  options: {
    once: { type: 'boolean', help: 'print one frame and end' },
    sort: { type: 'string', value: 'ORDER', help: TOP_ORDERS.join(', ') },
    interval: { type: 'string', value: 'TIME', help: 'from one look to the next, 500ms to 1h (default: 1s)' },
  },
  examples: [
    { command: 'wherry top', what: 'look on' },
    { command: 'wherry top --once --sort memory', what: 'one look, the fullest first' },
    { command: 'wherry top --json', what: 'a line of JSON each second, for a script' },
  ],
  run,
};

const INTERVAL_MS = { least: 500, most: 3_600_000, usual: 1_000 };

async function run(call: Call): Promise<number> {
  const { io, isJson, options } = call;
  const [order, intervalMs] = [orderOf(options['sort']), intervalOf(options['interval'])];
  const isOnce = options['once'] === true;
  if (isJson) return printFrames(call, order, intervalMs, isOnce);
  if (isOnce || !io.terminal || io.env['TERM'] === 'dumb') return printFrames(call, order, intervalMs, true);
  return new LiveTop(call, io.terminal, order, intervalMs).run();
}

/** Two looks make a frame: most of what is to be seen is a rate. */
async function printFrames(
  call: Call,
  order: TopOrder,
  intervalMs: number,
  isOnce: boolean,
): Promise<number> {
  const { io, isJson, print } = call;
  for (let before = await look(call); ; ) {
    await pause(intervalMs, undefined, { signal: io.signal }).catch(() => undefined);
    if (io.signal.aborted) return EXIT.ok;
    const now = await look(call);
    const frame = topFrame(before, now, order);
    before = now;
    const columns = io.isTTY ? io.columns : Number.POSITIVE_INFINITY;
    const page = { columns, rows: Number.POSITIVE_INFINITY, order, time: timeOf(now), isLive: false };
    await print(isJson ? [JSON.stringify(frame)] : painted(call, topLines(frame, page)));
    if (isOnce) return EXIT.ok;
  }
}

async function look({ client, io }: Call): Promise<TopLook> {
  const [status, channels] = await Promise.all([client.sampledStatus(), client.channels()]);
  return { at: io.now(), status, channels };
}

const timeOf = ({ at }: TopLook): string => clockTime(at).slice(11);

const painted = ({ paint }: Call, lines: ReturnType<typeof topLines>): string[] =>
  lines.map((cells) =>
    cells
      .map(({ text, mood }) => (mood ? paint[mood](text) : text))
      .join('')
      .trimEnd(),
  );

const ORDER_OF_KEY: Record<string, TopOrder> = {
  c: 'cpu',
  m: 'memory',
  p: 'pressure',
  t: 'throttling',
  r: 'restarts',
  n: 'name',
};

/** ECMA-48: CUP to the corner, EL to the end of each line, ED of what is below. */
const HOME = '\u001b[H';
const END_OF_LINE = '\u001b[K';
const BELOW = '\u001b[J';
const CTRL_C = '\u0003';

class LiveTop {
  readonly #call: Call;
  readonly #terminal: Terminal;
  readonly #intervalMs: number;
  #order: TopOrder;
  #before: TopLook | undefined;
  #now: TopLook | undefined;
  readonly #end = new AbortController();

  constructor(call: Call, terminal: Terminal, order: TopOrder, intervalMs: number) {
    this.#call = call;
    this.#terminal = terminal;
    this.#order = order;
    this.#intervalMs = intervalMs;
  }

  async run(): Promise<number> {
    const { io } = this.#call;
    this.#now = await look(this.#call);
    const onKeys = (data: Buffer | string): void => this.#keys(data.toString());
    const unwatch = this.#terminal.watchSize(() => void this.#draw());
    this.#terminal.setRaw(true);
    this.#terminal.setScreen(true);
    io.stdin.on('data', onKeys);
    try {
      const signal = AbortSignal.any([io.signal, this.#end.signal]);
      while (!signal.aborted) {
        await this.#draw();
        await pause(this.#intervalMs, undefined, { signal }).catch(() => undefined);
        if (!signal.aborted) this.#take(await look(this.#call));
      }
      return EXIT.ok;
    } finally {
      unwatch();
      this.#terminal.setScreen(false);
      this.#terminal.setRaw(false);
      io.stdin.off('data', onKeys);
      io.stdin.destroy();
    }
  }

  #take(now: TopLook): void {
    this.#before = this.#now;
    this.#now = now;
  }

  #keys(keys: string): void {
    for (const key of keys) {
      const order = ORDER_OF_KEY[key];
      if (order) this.#order = order;
      if (key === 'q' || key === CTRL_C) this.#end.abort();
    }
    void this.#draw();
  }

  async #draw(): Promise<void> {
    if (this.#now === undefined || this.#end.signal.aborted) return;
    const page: TopPage = {
      ...this.#terminal.size(),
      order: this.#order,
      time: timeOf(this.#now),
      isLive: true,
    };
    const lines = painted(this.#call, topLines(topFrame(this.#before, this.#now, this.#order), page));
    // No newline after the last: it would scroll the first one away.
    const text = lines.map((line) => line + END_OF_LINE).join('\r\n');
    await write(this.#call.io.stdout, HOME + text + BELOW);
  }
}

function orderOf(given: string | boolean | undefined): TopOrder {
  const order = given === undefined ? 'cpu' : TOP_ORDERS.find((each) => each === given);
  if (order) return order;
  throw usage(`Cannot read --sort ${given}: wanted ${TOP_ORDERS.join(', ')}`, top);
}

function intervalOf(given: string | boolean | undefined): number {
  if (typeof given !== 'string') return INTERVAL_MS.usual;
  const ms = parseDurationMs(given) ?? 0;
  if (ms >= INTERVAL_MS.least && ms <= INTERVAL_MS.most) return ms;
  throw usage(`Cannot read --interval ${given}: wanted a time from 500ms to 1h`, top);
}
