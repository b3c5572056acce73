import { type NetworkState, type Owned, seatsOf, vethOf } from './state.ts';

/** A token bucket on one device. On the host's end it bounds what a service receives, in its namespace what it sends. */
export interface Bucket {
  device: string;
  side: 'host' | 'service';
  /** Bits a second. */
  bps: number;
}

/** A rate is one for all interfaces, so each gets an equal part: together they never exceed it. */
export function bucketsOf(owned: Owned, state: NetworkState, service: string): Bucket[] {
  const member = state.members[service];
  const own = seatsOf(state, service);
  if (member === undefined) return [];
  const part = (bps: number): number => Math.floor(bps / own.length);
  return own.flatMap(({ slot, host, device }): Bucket[] => [
    ...(member.ingressBps === undefined
      ? []
      : [{ device: vethOf(owned, slot, host), side: 'host' as const, bps: part(member.ingressBps) }]),
    ...(member.egressBps === undefined
      ? []
      : [{ device, side: 'service' as const, bps: part(member.egressBps) }]),
  ]);
}

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
