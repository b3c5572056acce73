import type { AgentStatus } from '../../agent/local-api/ports.ts';
import type { Report } from '../../protocol/messages.ts';
import { until } from '../support/until.ts';
import { BoardBench, type BroughtSystem } from './board-bench.ts';

const SERVICES = ['one', 'two'] as const;
const FLASHED = '1.0.0';
const BOOT_MS = 400_000;
const OFFER_MS = 900_000;
const LOOK_MS = 20_000;
const VOLUME = '/run/wherry/agent/volumes/kept';
const CGROUP = '/sys/fs/cgroup/wherry-agent/services';
/** Counts, in one block that is written over: a file made anew may be empty after a power cut. What it tells is durable. */
const COUNTER = `trap "exit 0" TERM
n=0
read -r n < /kept/count
while :; do
  n=$((n + 1))
  printf '%-8s\\n' $n | dd of=/kept/count conv=notrunc,fsync 2> /dev/null
  echo $n > /kept/told
  sleep 1 & wait $!
done`;
const IDLER = 'trap "exit 0" TERM; while :; do sleep 1 & wait $!; done';

/** What runs on the board and what its agent says of it. */
export interface BoardLook {
  phase: string;
  /** Version in force. */
  current: string | undefined;
  /** Versions of the services that run, and the system's own word of its version. */
  services: Partial<Record<string, string>>;
  system: string | undefined;
  /** How far the counting service has come by what is in its volume. */
  count: number;
}

/** An emulated board that is given one release after another, and may lose its power at any time. */
export class UpdatedBoard {
  readonly #bench: BoardBench;
  readonly #systems = new Map<string, BroughtSystem>();
  inForce = '1.0';
  incoming = '1.0';
  #number = 0;
  #written = 0;
  #consoleMark = 0;

  private constructor(bench: BoardBench) {
    this.#bench = bench;
  }

  /** Enrolled from its first partition, with its first release in force, which has brought the system that was flashed. */
  static async start(): Promise<UpdatedBoard> {
    const bench = await BoardBench.create([]);
    const board = new UpdatedBoard(bench);
    await bench.boot({ timeoutMs: BOOT_MS });
    await until(() => bench.isOnline(), { timeoutMs: 200_000, what: 'the board to enrol' });
    board.#systems.set('1.0', await bench.systemWith(FLASHED));
    await board.#release('1.0');
    await board.settle(OFFER_MS);
    return board;
  }

  /** A release with other services, and with another system or the one that is in force. */
  async offer({ bringsSystem }: { bringsSystem: boolean }): Promise<void> {
    const version = `1.${++this.#number}`;
    const held = this.#systems.get(this.inForce);
    const system = bringsSystem ? await this.#bench.systemWith(version, `test.system=${version}`) : held;
    if (system) this.#systems.set(version, system);
    this.#consoleMark = (await this.#bench.board.console()).length;
    this.incoming = version;
    await this.#release(version);
  }

  async #release(version: string): Promise<void> {
    const service = (script: string) => ({ args: ['/bin/sh', '-c', script, `release-${version}`] });
    const mounts = [{ volume: 'kept', path: '/kept', readOnly: false }];
    const system = this.#systems.get(version);
    await this.#bench.release(
      version,
      { one: { ...service(COUNTER), change: { mounts } }, two: service(IDLER) },
      system && { system },
    );
  }

  /** Lets this much of the update pass. */
  async elapsed(ms: number): Promise<void> {
    const end = Date.now() + ms;
    await until(() => Date.now() >= end, { timeoutMs: ms + 1_000 });
  }

  /** Resolves as soon as the bootloader says that it tries the new system. */
  async trialBegins(): Promise<void> {
    await until(
      async () => (await this.#bench.board.console()).slice(this.#consoleMark).includes('Trial boot of slot'),
      { timeoutMs: OFFER_MS, what: `the trial boot of ${this.incoming}` },
    );
  }

  /** Resolves as soon as the server has heard that the incoming release is committed. */
  async committed(): Promise<void> {
    await until(() => this.#isCommitted(), { timeoutMs: OFFER_MS, what: `${this.incoming} to be committed` });
  }

  async #isCommitted(): Promise<boolean> {
    const { update } = ((await this.#bench.report()) ?? {}) as Partial<Report>;
    if (update?.release?.version !== this.incoming) return false;
    if (update.phase === 'rolled_back' || update.phase === 'refused')
      throw new Error(`The board did not take ${this.incoming}: ${JSON.stringify(update.reason)}`);
    return update.phase === 'committed';
  }

  /** `written`: what the service was known to have on the medium. */
  async cutPower(): Promise<{ isCommitted: boolean; written: number }> {
    const isCommitted = await this.#isCommitted();
    await this.#bench.board.cutPower();
    this.#consoleMark = 0;
    return { isCommitted, written: this.#written };
  }

  async boot(): Promise<void> {
    await this.#bench.boot({ timeoutMs: BOOT_MS });
  }

  /** The first moment at which the agent answers. */
  look(): Promise<BoardLook> {
    return until(async () => await this.#look().catch(() => undefined), {
      timeoutMs: BOOT_MS,
      what: 'the agent to answer',
    });
  }

  /** What runs in the meantime is looked at again and again: two versions at a time are a fault. */
  async settle(timeoutMs: number): Promise<BoardLook> {
    let last: BoardLook | undefined;
    return until(
      async () => {
        const look = await this.#look().catch(() => undefined);
        if (look === undefined) return undefined;
        last = look;
        requireOneVersion(look);
        const isOver = look.phase === 'committed' || look.phase === 'rolled_back';
        return isOver && look.incoming === this.incoming && isComplete(look) && look;
      },
      { timeoutMs, what: `${this.incoming} to settle` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; last seen ${JSON.stringify(last)}`, { cause: error });
    });
  }

  /** What is to be seen where this release is in force, services and system. */
  wholeRelease(version: string): Partial<BoardLook> {
    const system = this.#systems.get(version)?.version;
    return {
      current: version,
      services: Object.fromEntries(SERVICES.map((name) => [name, version])),
      system: system === FLASHED ? undefined : system,
    };
  }

  /** Resolves when the server has heard what is in force. */
  async told(version: string): Promise<void> {
    await until(async () => (await this.#bench.report())?.current?.version === version, {
      timeoutMs: 200_000,
      what: `the server to hear of ${version}`,
    });
    await until(() => this.#bench.isOnline(), { timeoutMs: 200_000, what: 'the board to be online' });
  }

  async #look(): Promise<BoardLook & { incoming: string | undefined }> {
    const before = await this.#bench.status();
    const text = await this.#bench.sh(
      `for s in ${SERVICES.join(' ')}; do find ${CGROUP}/$s -name cgroup.procs -exec cat {} + 2> /dev/null | while read -r p; do printf '%s %s\\n' $s "$(tr '\\0\\n' '  ' < /proc/$p/cmdline)"; done; done; for f in told count; do echo "$f" $(cat ${VOLUME}/$f); done; cat /proc/cmdline`,
      LOOK_MS,
    );
    const after = await this.#bench.status();
    const [told, count] = ['told', 'count'].map((word) =>
      Number(new RegExp(`^${word} ([0-9]+)$`, 'm').exec(text)?.[1] ?? 0),
    );
    this.#written = Math.max(this.#written, told ?? 0);
    return {
      phase: phaseOf(before, after),
      current: after.current?.version,
      incoming: after.update.release?.version,
      services: Object.fromEntries(
        [...text.matchAll(/^(\w+) .*release-([0-9.]+)/gm)].map(([, name = '', version]) => [name, version]),
      ),
      system: /test\.system=([0-9.]+)/.exec(text)?.[1],
      count: count ?? 0,
    };
  }

  close(): Promise<void> {
    return this.#bench.close();
  }
}

/** One that changed while the services were looked at says nothing of them. */
const phaseOf = (before: AgentStatus, after: AgentStatus): string =>
  before.update.phase === after.update.phase ? after.update.phase : 'switching';

const isComplete = ({ services }: BoardLook): boolean => SERVICES.every((name) => services[name]);

function requireOneVersion({ phase, services }: BoardLook): void {
  if (phase === 'switching' || new Set(Object.values(services)).size <= 1) return;
  throw new Error(`Services of two releases run at a time: ${JSON.stringify(services)} while ${phase}`);
}
