import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { attachBatch, insideBatch } from './core/links.ts';
import { type Bucket, bucketsOf, missingBuckets, tcBatch } from './core/rates.ts';
import { type NetworkState, netnsOf, type Owned, seatsOf, vethOf } from './core/state.ts';
import { feed, feedLines } from './feed.ts';
import { presentLinks } from './owned-links.ts';

export const netnsPath = (owned: Owned, service: string): string =>
  join('/run/netns', netnsOf(owned, service));

/** IPv6 off before a link is up, and no forwarding, which a new namespace has from the host's; then `ip` and `tc` in one go. */
const INSIDE = `for f in all default lo; do
  p=/proc/sys/net/ipv6/conf/$f/disable_ipv6
  [ ! -e $p ] || echo 1 >$p
done
echo 0 >/proc/sys/net/ipv4/ip_forward
printf %s "$1" | ip -batch -
[ -z "$2" ] || printf %s "$2" | tc -batch -`;

/** Makes namespace, links, addresses and rates of a service, as far as they are not there; the rates are read back. */
export async function wire(owned: Owned, state: NetworkState, service: string): Promise<void> {
  await feed(
    'ip',
    ['-batch', '-'],
    attachBatch(owned, state, service, presentLinks(owned), existsSync(netnsPath(owned, service))),
  );
  const buckets = bucketsOf(owned, state, service);
  const inside = tcBatch(buckets.filter(({ side }) => side === 'service'));
  await feed('nsenter', [
    `--net=${netnsPath(owned, service)}`,
    'sh',
    '-ec',
    INSIDE,
    'sh',
    insideBatch(state, service),
    inside,
  ]);
  await feedLines('tc', ['-batch', '-'], tcBatch(buckets.filter(({ side }) => side === 'host')));
  const lost = await lostBuckets(owned, service, buckets);
  if (lost.length > 0) {
    const names = lost.map(({ device }) => device).join(', ');
    throw new Error(
      `Cannot limit the network of service "${service}": the kernel holds no such rate on ${names}; it needs the token bucket filter (CONFIG_NET_SCH_TBF)`,
    );
  }
}

/** The rates that the kernel does not hold as they were set. */
export async function lostBuckets(
  owned: Owned,
  service: string,
  buckets: readonly Bucket[],
): Promise<Bucket[]> {
  const lost: Bucket[] = [];
  for (const side of ['host', 'service'] as const) {
    const asked = buckets.filter((bucket) => bucket.side === side);
    if (asked.length > 0)
      lost.push(...missingBuckets(asked, await feed('tc', [...sideArgs(owned, service, side), ...SHOW])));
  }
  return lost;
}

export async function setBuckets(owned: Owned, service: string, buckets: readonly Bucket[]): Promise<void> {
  for (const side of ['host', 'service'] as const) {
    const lines = tcBatch(buckets.filter((bucket) => bucket.side === side));
    await feedLines('tc', [...sideArgs(owned, service, side), '-batch', '-'], lines);
  }
}

const SHOW = ['-j', 'qdisc', 'show'];
const sideArgs = (owned: Owned, service: string, side: Bucket['side']): string[] =>
  side === 'host' ? [] : ['-n', netnsOf(owned, service)];

/** Whether any process is in the service's namespace, whoever put it there. */
export function isInhabited(owned: Owned, service: string): boolean {
  const path = netnsPath(owned, service);
  if (!existsSync(path)) return false;
  const name = `net:[${statSync(path).ino}]`;
  return readdirSync('/proc').some((pid) => /^\d+$/.test(pid) && netnsOfProcess(pid) === name);
}

function netnsOfProcess(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

/** Services of this instance that have a namespace, known or not. An instance's name has no dot in it. */
export const namespaces = ({ netns }: Owned): string[] =>
  existsSync('/run/netns')
    ? readdirSync('/run/netns')
        .filter((name) => name.startsWith(`${netns}.`))
        .map((name) => name.slice(netns.length + 1))
    : [];

/** Whether namespace and links of a wired service are still there. */
export function isWhole(owned: Owned, state: NetworkState, service: string): boolean {
  const present = presentLinks(owned);
  return (
    existsSync(netnsPath(owned, service)) &&
    seatsOf(state, service).every(({ slot, host }) => present.has(vethOf(owned, slot, host)))
  );
}

/** Removes whatever is there of a service's namespace and links. */
export async function unwire(owned: Owned, state: NetworkState, service: string): Promise<void> {
  const present = presentLinks(owned);
  const links = seatsOf(state, service)
    .map(({ slot, host }) => vethOf(owned, slot, host))
    .filter((veth) => present.has(veth))
    .map((veth) => `link del ${veth}\n`);
  const netns = existsSync(netnsPath(owned, service)) ? [`netns del ${netnsOf(owned, service)}\n`] : [];
  await feedLines('ip', ['-batch', '-'], [...links, ...netns].join(''));
}
