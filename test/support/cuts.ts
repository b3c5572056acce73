import { writeFileSync } from 'node:fs';

/** Methods of the supervisor's ports that change something outside of the process, by the port's name. */
const EFFECTS: Record<string, readonly string[]> = {
  memory: ['save', 'forget'],
  cgroups: ['prepare', 'apply', 'holdMonitor', 'remove', 'destroy'],
  rootfs: ['mount', 'unmount', 'volume', 'destroy'],
  networks: ['prepare', 'attach', 'detach', 'destroy'],
  runtime: ['start', 'kill', 'remove'],
  isolation: ['placementOf'],
};

/**
 * Counts the effects a process has through its ports and kills the process, by SIGKILL, at one of them: just before it,
 * or while it is under way. A function that an effect is given, such as the look at a waiting container, counts too.
 */
export class Cuts {
  readonly #at: number;
  readonly #file: string;
  #count = 0;

  /** `at`: which cut kills, from 1. `file` then holds its name. */
  constructor(at: number, file: string) {
    this.#at = at;
    this.#file = file;
  }

  through<T extends object>(name: string, port: T): T {
    const effects = EFFECTS[name] ?? [];
    return new Proxy(port, {
      get: (target, key) => {
        const member = Reflect.get(target, key, target);
        if (typeof member !== 'function') return member;
        const called = member.bind(target);
        return effects.includes(String(key)) ? this.#cut(`${name}.${String(key)}`, called) : called;
      },
    });
  }

  #cut(name: string, effect: (...args: unknown[]) => unknown) {
    return (...args: unknown[]): unknown => {
      this.#pass(`before ${name}`, (die) => die());
      const passed = args.map((arg) =>
        typeof arg === 'function' ? this.#cut(`${name}'s callback`, arg.bind(undefined)) : arg,
      );
      const result = effect(...passed);
      if (result instanceof Promise) this.#pass(`during ${name}`, (die) => setImmediate(die));
      return result;
    };
  }

  #pass(name: string, when: (die: () => void) => void): void {
    this.#count += 1;
    if (this.#count !== this.#at) return;
    writeFileSync(this.#file, name);
    when(() => process.kill(process.pid, 'SIGKILL'));
  }
}
