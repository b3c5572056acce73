import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Lease } from '../core/hold.ts';
import { serviceLease } from '../core/service-lease.ts';

/** A time and a reason; what is longer is not read on. */
const READ_BYTES = 1024;
/** A link is not followed, and a pipe that nobody writes to does not hold the agent up. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Leases that services hold by a file of theirs. Whatever else stands there is no lease. */
export class ServiceLeases {
  readonly #services: () => readonly string[];
  readonly #fileOf: (service: string) => string;

  constructor(services: () => readonly string[], fileOf: (service: string) => string) {
    this.#services = services;
    this.#fileOf = fileOf;
  }

  held(now: number): Lease[] {
    return this.#services().flatMap((service) => {
      const said = read(this.#fileOf(service));
      const lease = said && serviceLease(service, said.text, said.writtenAt, now);
      return lease ? [lease] : [];
    });
  }
}

function read(path: string): { text: string; writtenAt: number } | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, FLAGS);
    const stat = fstatSync(file);
    if (!stat.isFile()) return undefined;
    const buffer = Buffer.alloc(READ_BYTES);
    const bytes = readSync(file, buffer, 0, READ_BYTES, 0);
    return { text: buffer.toString('utf8', 0, bytes), writtenAt: stat.mtimeMs };
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
