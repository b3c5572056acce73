import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import { needsHostIds } from '../../../protocol/loosenings.ts';
import type { Degradation } from '../../../protocol/status.ts';
import type { IdMapper } from '../images/id-mapper.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { IdRange } from './placement.ts';
import { runProgram } from './run-program.ts';

const FIRST_ID = 2_000_000_000;
const RANGE = 65_536;
/** Ranges end below 2^32 - 1, which the kernel keeps for "none". */
const SLOTS = Math.floor((0xffff_ffff - FIRST_ID) / RANGE);

interface Options {
  /** Slots are kept here in `id-slots.json`. */
  stateDir: string;
  /** Everything of the containers lies below; their users must be able to get there. */
  runDir: string;
  mapper: IdMapper;
}

/**
 * Which ids of the machine are those of a service: 65536 of its own, the same each time, never another's. The slot is
 * durable before it is used.
 */
export class UserNamespaces {
  readonly #options: Options;
  readonly #path: string;
  readonly #slots: Record<string, number>;
  /** Why this machine cannot; found out at the first start of a service. */
  #why: string | undefined;
  #probed: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: Options) {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    this.#options = options;
    this.#path = join(options.stateDir, 'id-slots.json');
    this.#slots = readSlots(this.#path);
  }

  /** undefined = the machine's own ids. Throws with code fail.isolation for a user that no range holds. */
  rangeOf(spec: ServiceSpec): Promise<IdRange | undefined> {
    const mine = this.#last.then(() => this.#rangeOf(spec));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** What of it this machine or the service's own rights prevent; nothing where the manifest asks for the host's. */
  degraded(spec: ServiceSpec): Degradation[] {
    if (spec.security.userNamespace === 'host') return [];
    if (this.#why !== undefined) return [{ what: 'userNamespace', why: this.#why }];
    const rights = needsHostIds(spec);
    if (rights.length === 0) return [];
    const why = `the kernel honours ${rights.join(', ')} only without a user namespace`;
    return [{ what: 'userNamespace', why }];
  }

  async #probe(): Promise<void> {
    this.#why = closedFolder(this.#options.runDir) ?? (await whyNotMapped(this.#options));
  }

  async #rangeOf(spec: ServiceSpec): Promise<IdRange | undefined> {
    this.#probed ??= this.#probe();
    await this.#probed;
    const isShared = spec.security.userNamespace === 'host' || this.degraded(spec).length > 0;
    if (isShared) return undefined;
    const highest = Math.max(spec.uid, spec.gid, ...spec.mounts.map(({ gid }) => gid));
    if (highest >= RANGE) {
      const message = `Cannot start service "${spec.name}": it has the id ${highest}, its user namespace has 0 to ${RANGE - 1}; choose a lower one or userNamespace: host`;
      throw Object.assign(new Error(message), { code: 'fail.isolation' });
    }
    const slot = this.#slots[spec.name] ?? (await this.#take(spec.name));
    return { hostBase: FIRST_ID + slot * RANGE, size: RANGE };
  }

  async #take(service: string): Promise<number> {
    const taken = new Set(Object.values(this.#slots));
    let slot = 0;
    while (taken.has(slot)) slot += 1;
    if (slot >= SLOTS)
      throw new Error(`Cannot start service "${service}": all ${SLOTS} ranges of user ids are given away`);
    await replaceFile(
      this.#path,
      JSON.stringify({ v: 1, slots: { ...this.#slots, [service]: slot } }),
      0o600,
    );
    this.#slots[service] = slot;
    return slot;
  }
}

function readSlots(path: string): Record<string, number> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  try {
    const { slots } = JSON.parse(text) as { slots: Record<string, number> };
    return { ...slots };
  } catch {
    // Nothing of a service outlives it under these ids: volumes hold the service's own numbers. So begin anew.
    return {};
  }
}

/** The users of the ranges are nobody to the machine: each folder on the way must let others pass. */
function closedFolder(path: string): string | undefined {
  for (let at = path; ; at = dirname(at)) {
    if (((statSync(at, { throwIfNoEntry: false })?.mode ?? 0o1) & 0o1) === 0)
      return `the folder ${at} lets no other user pass`;
    if (at === dirname(at)) return undefined;
  }
}

/** tmpfs was the last of the filesystems in use here that learnt it, so it stands for all. */
async function whyNotMapped({ runDir, mapper }: Options): Promise<string | undefined> {
  const probe = join(runDir, 'idmap-probe');
  mkdirSync(probe, { recursive: true });
  const made: string[] = [];
  try {
    await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'wherry-probe', probe]);
    made.push(probe);
    await mapper.bind({ hostBase: FIRST_ID, size: RANGE }, [{ source: probe, target: probe }]);
    made.push(probe);
    return undefined;
  } catch (error) {
    const said =
      error instanceof Error ? error.message.trim().split(': ').slice(-2).join(': ') : String(error);
    return `this machine has no id-mapped mounts: ${said.slice(-200)}`;
  } finally {
    for (const path of made) await runProgram('umount', [path]);
  }
}
