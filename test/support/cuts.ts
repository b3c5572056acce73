import { writeFileSync } from 'node:fs';

/** Methods of the supervisor's ports that change something outside of the process, by the port's name. */
const EFFECTS: Record<string, readonly string[]> = {
  memory: ['save', 'forget'],
  cgroups: ['prepare', 'apply', 'holdMonitor', 'remove', 'destroy'],
  rootfs: ['mount', 'unmount', 'destroy'],
  networks: ['prepare', 'attach', 'detach', 'destroy'],
  channels: ['prepare', 'settle', 'destroy'],
  runtime: ['start', 'kill', 'remove'],
  isolation: ['placementOf'],
  pump: ['begin'],
};

type Effect = (...args: unknown[]) => unknown;

/**
 * Counts the effects a process has through its ports and kills the process, by SIGKILL, at one of them: just before it,
 * or while it is under way. A function that an effect is given, such as the look at a waiting container, counts too, and
 * there what follows it as well.
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

  #cut(name: string, effect: Effect) {
    return (...args: unknown[]): unknown => {
      this.#pass(`before ${name}`, (die) => die());
      const passed = args.map((arg) =>
        typeof arg === 'function' ? this.#callback(name, arg as Effect) : arg,
      );
      const result = effect(...passed);
      if (result instanceof Promise) this.#pass(`during ${name}`, (die) => setImmediate(die));
      return result;
    };
  }

  #callback(name: string, callback: Effect) {
    const cut = this.#cut(`${name}'s callback`, callback);
    return async (...args: unknown[]): Promise<unknown> => {
      const result = await cut(...args);
      this.#pass(`behind ${name}'s callback`, (die) => setImmediate(die));
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
