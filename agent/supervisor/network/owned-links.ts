import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';
import type { Ground } from './core/plan.ts';
import type { Owned } from './core/state.ts';

const LINKS = '/sys/class/net';
const SLOTS = 255;

const hash = (instance: string): Buffer => createHash('sha256').update(instance).digest();

export function ownedBy(instance: string): Owned {
  const digest = hash(instance);
  return {
    prefix: `wh${digest.toString('hex', 0, 2)}`,
    // 31 bits, so that no tool reads it as negative, and never 0, which is everybody's.
    group: (digest.readUInt32BE(2) >>> 1) | 1,
    table: `wherry_${instance.replaceAll('-', '_')}`,
    netns: `wherry-${instance}`,
  };
}

/** Bridges and host ends of veth pairs of this instance: by prefix and by group, for another's hash may begin alike. */
export function presentLinks({ prefix, group }: Owned): Set<string> {
  const ours = new RegExp(`^${prefix}(-|v\\d)`);
  return new Set(
    readdirSync(LINKS).filter((name) => ours.test(name) && read(name, 'netdev_group') === String(group)),
  );
}

/** Where this instance begins to lay segments, and which of 10.212.0.0/16 the host uses for something else. */
export function groundFor(instance: string, { prefix }: Owned): Ground {
  const taken = Object.entries(networkInterfaces())
    .filter(([name]) => !name.startsWith(`${prefix}-`))
    .flatMap(([, addresses]) => addresses ?? [])
    .flatMap(({ address }) => /^10\.212\.(\d+)\./.exec(address)?.[1] ?? [])
    .map(Number);
  return { first: hash(instance).readUInt8(6) % SLOTS, taken };
}

/** Bytes that crossed the host's end of a veth pair. */
export const bytesOf = (link: string): { receivedBytes: number; sentBytes: number } => ({
  receivedBytes: Number(read(link, 'statistics/rx_bytes') ?? 0),
  sentBytes: Number(read(link, 'statistics/tx_bytes') ?? 0),
});

/** The bridge that a link is a port of. */
export function masterOf(link: string): string | undefined {
  try {
    return basename(readlinkSync(join(LINKS, link, 'master')));
  } catch {
    return undefined;
  }
}

function read(link: string, file: string): string | undefined {
  try {
    return readFileSync(join(LINKS, link, file), 'utf8').trim();
  } catch {
    return undefined;
  }
}
