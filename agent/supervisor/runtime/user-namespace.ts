import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { replaceFile } from '../../../protocol/durable-file.ts';
import { needsHostIds } from '../../../protocol/loosenings.ts';
import type { Degradation } from '../../../protocol/status.ts';
import type { IdMapper } from '../images/id-mapper.ts';
import { readMounts } from '../images/mount-table.ts';
import { whyNotShifted } from '../images/shifted-layers.ts';
import { serviceOf } from '../instance-name.ts';
import type { ServiceSpec } from '../service-spec.ts';
import type { IdRange } from './placement.ts';
import { runProgram } from './run-program.ts';

const FIRST_ID = 2_000_000_000;
const RANGE = 65_536;
/** Below are groups of the machine; a release gives volumes higher ones. */
const FIRST_VOLUME_GID = 60_000;
/** Ranges end below 2^32 - 1, which the kernel keeps for "none". */
const SLOTS = Math.floor((0xffff_ffff - FIRST_ID) / RANGE);

const PROBE_TARGET = 'idmap-probe';

interface Options {
  /** Slots are kept here in `id-slots.json`. */
  stateDir: string;
  /** Everything of the containers lies below; their users must be able to get there. */
  runDir: string;
  mapper: IdMapper;
  /** Where the volume is mounted on the machine. */
  volumePath(volume: string): string;
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
  /** Whether filesystems in memory can be mapped; all others could before them. */
  #mapsMemory = true;
  /** Why volumes on disk cannot be mapped; null once it is known that they can. */
  #diskWhy: string | null | undefined;
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
    const disk = diskVolume(spec);
    if (disk !== undefined && this.#diskWhy)
      return [{ what: 'userNamespace', why: `volume ${disk} on disk cannot be mapped: ${this.#diskWhy}` }];
    const rights = needsHostIds(spec);
    if (rights.length === 0) return [];
    const why = `the kernel honours ${rights.join(', ')} only without a user namespace`;
    return [{ what: 'userNamespace', why }];
  }

  async #probe(): Promise<void> {
    const { runDir, mapper } = this.#options;
    this.#why = closedFolder(runDir);
    if (this.#why !== undefined) return;
    const unmapped = await whyNotMapped(runDir, mapper);
    this.#mapsMemory = unmapped === undefined;
    const unshifted = this.#mapsMemory ? undefined : await whyNotShifted(runDir);
    if (unshifted !== undefined)
      this.#why = `this machine has no id-mapped mounts: ${unmapped}; ${unshifted}`;
  }

  /** A volume on disk keeps the ids that it was written with: mapped, or the machine's. */
  async #probeDisk(spec: ServiceSpec): Promise<void> {
    const volume = diskVolume(spec);
    const source = volume === undefined ? '' : this.#options.volumePath(volume);
    if (this.#diskWhy !== undefined || !existsSync(source)) return;
    const { runDir, mapper } = this.#options;
    this.#diskWhy = this.#mapsMemory ? null : ((await whyNotBound(runDir, mapper, source)) ?? null);
  }

  async #rangeOf(spec: ServiceSpec): Promise<IdRange | undefined> {
    this.#probed ??= this.#probe();
    await this.#probed;
    await this.#probeDisk(spec);
    const isShared = spec.security.userNamespace === 'host' || this.degraded(spec).length > 0;
    if (isShared) return undefined;
    const highest = Math.max(spec.uid, spec.gid, ...spec.mounts.map(({ gid }) => gid));
    if (highest >= RANGE) {
      const message = `Cannot start service "${spec.name}": it has the id ${highest}, its user namespace has 0 to ${RANGE - 1}; choose a lower one or userNamespace: host`;
      throw Object.assign(new Error(message), { code: 'fail.isolation' });
    }
    const service = serviceOf(spec.name);
    const slot = this.#slots[service] ?? (await this.#take(service));
    const range = { hostBase: FIRST_ID + slot * RANGE, size: RANGE };
    return this.#mapsMemory ? range : { ...range, keptGids: keptGids(spec) };
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

const diskVolume = ({ mounts }: ServiceSpec): string | undefined =>
  mounts.find(({ backing }) => backing === 'disk')?.volume;

/** Services share a volume in memory by its group, so where it cannot be mapped the group is the same for all. */
function keptGids({ name, mounts }: ServiceSpec): number[] {
  const gids = [...new Set(mounts.flatMap(({ gid, backing }) => (backing === undefined ? [gid] : [])))];
  const low = gids.find((gid) => gid < FIRST_VOLUME_GID);
  if (low === undefined) return gids;
  const message = `Cannot start service "${name}": a volume of its has the group ${low}, and without id-mapped mounts a container would be in that group of the machine; build the release with volume groups from ${FIRST_VOLUME_GID} on`;
  throw Object.assign(new Error(message), { code: 'fail.isolation' });
}

/** tmpfs was the last of the filesystems in use here that learnt it, so it stands for all. */
async function whyNotMapped(runDir: string, mapper: IdMapper): Promise<string | undefined> {
  const probe = join(runDir, 'idmap-tmpfs');
  mkdirSync(probe, { recursive: true });
  // An agent that was killed in the middle of this left its own.
  for (const { point } of readMounts(runDir).reverse())
    if ([probe, join(runDir, PROBE_TARGET)].includes(point)) await runProgram('umount', [point]);
  await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'wherry-probe', probe]);
  try {
    return await whyNotBound(runDir, mapper, probe);
  } finally {
    await runProgram('umount', [probe]);
  }
}

async function whyNotBound(runDir: string, mapper: IdMapper, source: string): Promise<string | undefined> {
  const target = join(runDir, PROBE_TARGET);
  mkdirSync(target, { recursive: true });
  try {
    await mapper.bind({ hostBase: FIRST_ID, size: RANGE }, [{ source, target }]);
  } catch (error) {
    const said =
      error instanceof Error ? error.message.trim().split(': ').slice(-2).join(': ') : String(error);
    return said.slice(-200);
  }
  await runProgram('umount', [target]);
  return undefined;
}
