import { join } from 'node:path';
import { channelBudgetBytes, channelTmpfsBytes } from '../../../protocol/channels.ts';
import type { ChannelCgroups } from '../ports.ts';
import type { ServiceChannel } from '../service-spec.ts';
import { type Deviation, deviationsOf, inodesOf, isMade, type Wanted } from './core/deviations.ts';
import { createdNsOf, filesOf, META, newMeta, RING, ringFixed, viewOf } from './core/layout.ts';
import {
  fillFiles,
  giveAway,
  mountTmpfs,
  observeTmpfs,
  pageBytes,
  readBytes,
  writeBytes,
} from './tmpfs-files.ts';

/** Beside the memory itself: the process that fills it, which ends at once. */
export const HELPER_BYTES = 1024 * 1024;

export interface ChannelPlace {
  path: string;
  cgroups: ChannelCgroups;
  owners: ReadonlyMap<string, number>;
  /** This agent has seen it whole. */
  wasWhole?: boolean;
}

/**
 * Brings a channel to what it should be; meta is written last, so that what was cut off is made anew. Resolves with
 * what was set right of a channel that had been whole before. Rejects when the kernel does not hold it then.
 */
export async function makeChannel(channel: ServiceChannel, place: ChannelPlace): Promise<Deviation[]> {
  const { path, cgroups, owners, wasWhole = false } = place;
  const wanted: Wanted = {
    channel,
    owners,
    pageBytes: pageBytes(),
    limitBytes: channelBudgetBytes(channel) + HELPER_BYTES,
  };
  const observe = () => observeTmpfs(path, channel, cgroups.read(channel.id)?.limitBytes);
  const seen = observe();
  const found = deviationsOf(wanted, seen);
  if (found.length === 0) return [];
  const wasMade = wasWhole || isMade(channel, seen);
  // What was mounted before may still be held by who runs, and would count against the new one.
  if (seen.mount === undefined) await cgroups.remove(channel.id);
  await setRight(wanted, place, found);
  const left = deviationsOf(wanted, observe());
  if (left.length > 0)
    throw new Error(
      `Cannot make channel "${channel.name}": the kernel does not hold it: ${left.map(({ text }) => text).join('; ')}`,
    );
  return wasMade ? found : [];
}

async function setRight(
  { channel, pageBytes: page, limitBytes }: Wanted,
  { path, cgroups, owners }: ChannelPlace,
  found: readonly Deviation[],
): Promise<void> {
  const isAny = (...kinds: Deviation['what'][]): boolean => found.some(({ what }) => kinds.includes(what));
  const procs = cgroups.make(channel.id, limitBytes);
  if (isAny('mount')) await mountTmpfs(path, channelTmpfsBytes(channel, page), inodesOf(channel));
  const files = filesOf(channel);
  const isBare = isAny('mount');
  const short = files.filter(
    ({ name }) =>
      isBare || found.some(({ what, file }) => file === name && (what === 'memory' || what === 'size')),
  );
  if (short.length > 0) await fillFiles(path, short, procs);
  giveAway(path, channel, owners);
  writeHeaders(channel, path);
}

/** What is as it should be is not written: somebody may be looking at it. */
function writeHeaders(channel: ServiceChannel, path: string): void {
  const meta = join(path, 'meta');
  const held = readBytes(meta, 0, META.subscribers);
  const known = createdNsOf(readBytes(meta, 0, newMeta(channel, 0n).length), channel);
  const createdNs = known ?? BigInt(Date.now()) * 1_000_000n;
  for (const name of channel.publishers) {
    const ring = join(path, `ring.${name}`);
    const fixed = ringFixed(channel, createdNs);
    if (Buffer.compare(readBytes(ring, 0, RING.fixedBytes), fixed) !== 0)
      writeBytes(ring, [{ at: 0, bytes: fixed }]);
  }
  if (known !== undefined) return;
  const fresh = newMeta(channel, createdNs);
  // Readers see that something changed, also where somebody had spoilt it.
  const changes = held.length > META.changes + 4 ? viewOf(held).getUint32(META.changes, true) : 0;
  viewOf(fresh).setUint32(META.changes, ((changes | 1) + 1) >>> 0, true);
  writeBytes(meta, [{ at: 0, bytes: fresh }]);
}
