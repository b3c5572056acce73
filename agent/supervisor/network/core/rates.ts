import { type NetworkState, type Owned, seatsOf, vethOf } from './state.ts';

/** A token bucket on one device. On the host's end it bounds what a service receives, in its namespace what it sends. */
export interface Bucket {
  device: string;
  side: 'host' | 'service';
  /** Bits a second. */
  bps: number;
}

/** Each interface may use the whole rate; `totalsOf` holds the sum of several. */
export function bucketsOf(owned: Owned, state: NetworkState, service: string): Bucket[] {
  const member = state.members[service];
  const own = seatsOf(state, service);
  if (member === undefined) return [];
  return own.flatMap(({ slot, host, device }): Bucket[] => [
    ...(member.ingressBps === undefined
      ? []
      : [{ device: vethOf(owned, slot, host), side: 'host' as const, bps: member.ingressBps }]),
    ...(member.egressBps === undefined ? [] : [{ device, side: 'service' as const, bps: member.egressBps }]),
  ]);
}

/** What a service may send, or receive, over several interfaces together. */
export interface Total {
  name: string;
  /** Host ends of its veth pairs. */
  devices: string[];
  direction: 'sent' | 'received';
  bytesPerSecond: number;
}

/**
 * A rate is one for all interfaces of a service: of one that has several, nftables bounds the sum. Its bucket holds a
 * second of the rate and the burst (net/netfilter/nft_limit.c), so after a pause that much may go beyond.
 */
export const totalsOf = (owned: Owned, state: NetworkState): Total[] =>
  Object.entries(state.members).flatMap(([service, { ingressBps, egressBps }]) => {
    const own = seatsOf(state, service);
    const [first] = own;
    if (first === undefined || own.length < 2) return [];
    const devices = own.map(({ slot, host }) => vethOf(owned, slot, host));
    const total = (direction: Total['direction'], bps: number | undefined): Total[] =>
      bps === undefined
        ? []
        : [
            {
              name: `${direction}_${first.slot}_${first.host}`,
              devices,
              direction,
              bytesPerSecond: Math.floor(bps / 8),
            },
          ];
    return [...total('received', ingressBps), ...total('sent', egressBps)];
  });

/** Bytes: 10 ms of the rate, so that a kernel with 100 ticks a second keeps up, and never less than ten frames. */
const burst = (bps: number): number => Math.max(15_140, Math.ceil(bps / 800));

/** `tc -batch` lines. */
export const tcBatch = (buckets: readonly Bucket[]): string =>
  buckets
    .map(
      ({ device, bps }) =>
        `qdisc replace dev ${device} root tbf rate ${bps}bit burst ${burst(bps)} latency 100ms\n`,
    )
    .join('');

/** The buckets that `tc -j qdisc show` does not list, or lists with another rate. */
export function missingBuckets(buckets: readonly Bucket[], shown: string): Bucket[] {
  const held = JSON.parse(shown) as { kind: string; dev: string; options?: { rate?: number } }[];
  return buckets.filter(
    ({ device, bps }) =>
      // tc counts bytes a second.
      !held.some(
        ({ kind, dev, options }) => kind === 'tbf' && dev === device && options?.rate === Math.floor(bps / 8),
      ),
  );
}
