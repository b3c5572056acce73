// Channels against what services on one machine use otherwise, each process in a container of its own: round trip, one
// way, one to eight, and the processor time of a message. Whoever is compared takes turns within each round; a ratio is
// the median of the rounds' ratios.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { serviceChannel } from '../agent/supervisor/from-manifest.ts';
import type { ServiceChannel } from '../agent/supervisor/service-spec.ts';
import { type Bench, median, round } from './bench.ts';
import { BenchContainers } from './channel-containers.ts';
import { openPeers, type Peer, type Task } from './channel-peers.ts';

const ROUNDS = 3;
const FAN_OUT = 8;
/** Messages a second at which processor time is taken, and for how many. */
const RATE = 1000;
const RATED_MESSAGES = 2000;
const CELL_TIMEOUT_MS = 60_000;
/** Bytes of a message; how many make a round trip or a flow in C; slots of a ring, 4 to 8 MiB. */
const SIZES = {
  '64b': { size: 64, rounds: 5000, messages: 600_000, depth: 8192 },
  '4k': { size: 4096, rounds: 5000, messages: 200_000, depth: 1024 },
  '64k': { size: 65_536, rounds: 3000, messages: 30_000, depth: 64 },
  '1m': { size: 1_048_576, rounds: 400, messages: 2000, depth: 8 },
} as const;
type Size = keyof typeof SIZES;
type Kind = 'rtt' | 'tput' | 'fan' | 'cpu';
const NAMES = Object.keys(SIZES) as Size[];
const READERS = Array.from({ length: FAN_OUT }, (_, index) => `b${index}`);

const ROUND_TRIP = ['c', 'c_futex', 'c_spin', 'uds', 'iceoryx', 'node', 'node_uds', 'mqtt', 'python'];
const ONE_WAY = ['c', 'c_futex', 'bare', 'uds', 'iceoryx', 'memcpy', 'node', 'node_uds', 'mqtt', 'python'];
const RATED = ['c', 'c_futex', 'uds', 'node', 'node_uds', 'mqtt', 'python'];

/** Key, what is measured, and of whom: the first divided by the second. */
const RATIOS: [key: string, kind: Kind, ours: string, theirs: string][] = [
  ['c_spin_rtt_{}_vs_iceoryx', 'rtt', 'c_spin', 'iceoryx'],
  ['c_rtt_{}_vs_uds', 'rtt', 'c', 'uds'],
  ['c_futex_rtt_{}_vs_uds', 'rtt', 'c_futex', 'uds'],
  ['node_rtt_{}_vs_c', 'rtt', 'node', 'c'],
  ['node_rtt_{}_vs_c_futex', 'rtt', 'node', 'c_futex'],
  ['node_rtt_{}_vs_node_uds', 'rtt', 'node', 'node_uds'],
  ['node_rtt_{}_vs_mqtt', 'rtt', 'node', 'mqtt'],
  ['python_rtt_{}_vs_c_futex', 'rtt', 'python', 'c_futex'],
  ['c_tput_{}_vs_uds', 'tput', 'c', 'uds'],
  ['c_futex_tput_{}_vs_uds', 'tput', 'c_futex', 'uds'],
  ['c_tput_{}_vs_bare', 'tput', 'c', 'bare'],
  ['bare_tput_{}_vs_memcpy', 'tput', 'bare', 'memcpy'],
  ['c_tput_{}_vs_iceoryx', 'tput', 'c', 'iceoryx'],
  ['c_tput_{}_vs_memcpy', 'tput', 'c', 'memcpy'],
  ['node_tput_{}_vs_node_uds', 'tput', 'node', 'node_uds'],
  ['node_tput_{}_vs_mqtt', 'tput', 'node', 'mqtt'],
  ['python_tput_{}_vs_c', 'tput', 'python', 'c'],
  ['c_cpu_{}_vs_uds', 'cpu', 'c', 'uds'],
  ['c_cpu_{}_vs_c_futex', 'cpu', 'c', 'c_futex'],
  ['node_cpu_{}_vs_node_uds', 'cpu', 'node', 'node_uds'],
  ['node_cpu_{}_vs_mqtt', 'cpu', 'node', 'mqtt'],
];

function channels(): ServiceChannel[] {
  return NAMES.flatMap((name) => {
    const { size: slotSizeBytes, depth } = SIZES[name];
    const make = (
      prefix: string,
      from: string,
      to: string[],
      mode: 'lossy' | 'reliable',
      slots: number = depth,
    ) =>
      serviceChannel(`${prefix}${name}`, {
        publishers: [from],
        subscribers: to,
        slotSizeBytes,
        depth: slots,
        mode,
      });
    // One message is under way in a conversation; with more slots than it needs it walks through more memory than it needs.
    return [
      make('ping-', 'a', ['b'], 'lossy', 2),
      make('pong-', 'b', ['a'], 'lossy', 2),
      make('', 'a', ['b'], 'reliable'),
      make('fan-', 'a', READERS, 'reliable'),
    ];
  });
}

/** What a program says on its last line. */
type Told = Record<string, number>;
const told = (output: string): Told => JSON.parse(output.trim().split('\n').at(-1) ?? '{}') as Told;

/** Processor time of a process so far, µs: utime and stime of proc(5), in ticks of 10 ms. */
function cpuUsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

class Runs {
  readonly #containers: BenchContainers;
  readonly #peers: Record<string, Peer>;
  /** By kind, size and transport: a figure for each round that went well. */
  readonly figures = new Map<string, (number | undefined)[]>();

  constructor(containers: BenchContainers, peers: Record<string, Peer>) {
    this.#containers = containers;
    this.#peers = peers;
  }

  async round(index: number): Promise<void> {
    for (const name of NAMES) {
      await this.#each('rtt', name, ROUND_TRIP, index);
      await this.#each('tput', name, ONE_WAY, index);
      await this.#each('fan', name, ['c'], index);
    }
    for (const name of ['64b', '4k'] as const) await this.#each('cpu', name, RATED, index);
  }

  async #each(kind: Kind, name: Size, transports: string[], index: number): Promise<void> {
    const first = index % transports.length;
    for (const transport of [...transports.slice(first), ...transports.slice(0, first)]) {
      const peer = this.#peers[transport];
      if (peer === undefined) continue;
      const figures = this.figures.get(`${kind} ${name} ${transport}`) ?? [];
      this.figures.set(`${kind} ${name} ${transport}`, figures);
      try {
        figures[index] = await this.#measure(kind, name, transport, peer);
      } catch (error) {
        console.error(`Round ${index}: ${kind} of ${transport} at ${name} has no figure: ${String(error)}`);
      }
    }
  }

  async #measure(kind: Kind, name: Size, transport: string, peer: Peer): Promise<number> {
    const { size, rounds, messages } = SIZES[name];
    const share = (count: number): number => Math.max(200, Math.round(count * peer.share));
    if (kind === 'rtt') {
      const [ping] = await this.#pair(peer, name, ['ping', 'echo'], { size, messages: share(rounds) });
      return ping?.['p50Us'] ?? Number.NaN;
    }
    if (transport === 'memcpy') {
      const [source] = await this.#pair(peer, name, ['source'], { size, messages: share(messages) });
      return source?.['megabytesPerSecond'] ?? Number.NaN;
    }
    if (kind === 'tput') {
      const [, sink] = await this.#pair(peer, name, ['source', 'sink'], { size, messages: share(messages) });
      return sink?.['megabytesPerSecond'] ?? Number.NaN;
    }
    if (kind === 'fan') return this.#fanOut(peer, name, { size, messages: share(messages) / 4 });
    const before = peer.broker === undefined ? 0 : cpuUsOf(peer.broker.pid());
    const rated = { size, messages: RATED_MESSAGES, rate: RATE };
    const both = await this.#pair(peer, name, ['source', 'sink'], rated);
    const brokers = peer.broker === undefined ? 0 : (cpuUsOf(peer.broker.pid()) - before) / RATED_MESSAGES;
    return both.reduce((sum, end) => sum + (end['cpuUsPerMessage'] ?? Number.NaN), brokers);
  }

  /** Megabytes a second that each of the eight gets. */
  async #fanOut(peer: Peer, name: Size, task: Omit<Task, 'role'>): Promise<number> {
    const roles = ['source', ...READERS.map(() => 'sink')] as Task['role'][];
    const [, ...sinks] = await this.#pair(peer, `fan-${name}`, roles, task, ['a', ...READERS]);
    return median(sinks.map((sink) => sink['megabytesPerSecond'] ?? Number.NaN));
  }

  /** The first role sends; it is started last. */
  async #pair(
    peer: Peer,
    label: string,
    roles: Task['role'][],
    task: Omit<Task, 'role'>,
    services = ['a', 'b'],
  ): Promise<Told[]> {
    const order = roles.map((role, index) => ({ role, index })).reverse();
    const running = order.map(({ role, index }) =>
      this.#containers.start(services[index] ?? 'a', peer.command({ ...task, role }, label), {
        isShared: peer.isShared ?? false,
      }),
    );
    const timeout = new AbortController();
    try {
      const all = Promise.all(running.map(({ ended }) => ended));
      all.catch(() => undefined);
      const late = pause(CELL_TIMEOUT_MS, undefined, { signal: timeout.signal, ref: false }).then(() => {
        throw new Error(`no end after ${CELL_TIMEOUT_MS} ms`);
      });
      late.catch(() => undefined);
      return (await Promise.race([all, late])).map(told).reverse();
    } finally {
      timeout.abort();
      for (const { kill } of running) kill();
    }
  }
}

const WORDS: Record<Kind, string> = {
  rtt: 'round trip µs',
  tput: 'MB/s',
  fan: 'MB/s to each of 8',
  cpu: 'CPU µs/message',
};

function tableOf(figures: Runs['figures']): Record<string, Record<string, number>> {
  const rows: Record<string, Record<string, number>> = {};
  for (const [key, values] of figures) {
    const [kind, name = '', transport] = key.split(' ') as [Kind, string, string];
    const good = values.filter((value) => value !== undefined);
    if (good.length > 0) (rows[`${WORDS[kind]}, ${transport}`] ??= {})[name] = round(median(good));
  }
  return rows;
}

function metricsOf(figures: Runs['figures']): Record<string, number> {
  const metrics: Record<string, number> = {};
  const compare = (
    key: string,
    ours: (number | undefined)[] = [],
    theirs: (number | undefined)[] = [],
  ): void => {
    const ratios = ours.flatMap((value, index) => {
      const other = theirs[index];
      return value === undefined || other === undefined ? [] : [value / other];
    });
    if (ratios.length > 0) metrics[key] = round(median(ratios));
  };
  for (const name of NAMES) {
    for (const [key, kind, ours, theirs] of RATIOS)
      compare(
        key.replace('{}', name),
        figures.get(`${kind} ${name} ${ours}`),
        figures.get(`${kind} ${name} ${theirs}`),
      );
    compare(`c_fan_out_8_${name}_vs_1`, figures.get(`fan ${name} c`), figures.get(`tput ${name} c`));
  }
  return metrics;
}

export const bench: Bench = async () => {
  const containers = new BenchContainers();
  const interrupted = () => void containers.close().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await containers.prepare(channels());
    const runs = new Runs(containers, await openPeers(containers));
    for (let index = 0; index < ROUNDS; index++) await runs.round(index);
    return { rows: tableOf(runs.figures), metrics: metricsOf(runs.figures) };
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await containers.close();
  }
};
