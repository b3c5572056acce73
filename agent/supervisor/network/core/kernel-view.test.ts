import { expect, test } from 'vitest';
import { bucketsIn, countersIn, portsIn } from './kernel-view.ts';

const payload = (protocol: string, field: string, right: unknown) => ({
  match: { op: '==', left: { payload: { protocol, field } }, right },
});
const local = { match: { op: '==', left: { fib: { result: 'type', flags: 'daddr' } }, right: 'local' } };
const rule = (chain: string, comment: string, ...expr: unknown[]) => ({ rule: { chain, comment, expr } });
const dnat = (addr: string, port: number) => ({ dnat: { family: 'ip', addr, port } });

const counter = (name: string, packets: number) => ({ counter: { name, packets, bytes: packets * 60 } });

/** As nft 1.0.6 lists it. */
const table = (...objects: unknown[]): string =>
  JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, ...objects] });

test('ports are those of the rules for callers from outside, each with where it leads to', () => {
  const text = table(
    rule(
      'published_outside',
      '',
      { match: { left: { meta: { key: 'iifname' } }, right: 'wh-*' } },
      { accept: null },
    ),
    rule('published_outside', 'web', local, payload('tcp', 'dport', 8080), dnat('10.212.10.2', 80)),
    rule(
      'published_outside',
      'dns',
      payload('ip', 'daddr', '192.0.2.1'),
      payload('udp', 'dport', 53),
      dnat('10.212.10.3', 5353),
    ),
    rule('published_host', 'web', local, payload('tcp', 'dport', 8080), dnat('10.212.10.2', 80)),
  );
  expect(portsIn(text)).toEqual([
    { protocol: 'tcp', port: 8080, service: 'web', to: '10.212.10.2:80' },
    { protocol: 'udp', address: '192.0.2.1', port: 53, service: 'dns', to: '10.212.10.3:5353' },
  ]);
});

test('counters are those of both tables', () => {
  expect(countersIn([table(counter('dns', 2)), table(counter('forged_dropped', 0))])).toEqual([
    { name: 'dns', packets: 2, bytes: 120 },
    { name: 'forged_dropped', packets: 0, bytes: 0 },
  ]);
});

test('rates are those of token buckets, in bits a second; every queue may drop', () => {
  const shown = JSON.stringify([
    { kind: 'tbf', dev: 'v1', drops: 3, options: { rate: 125_000 } },
    { kind: 'noqueue', dev: 'lo', options: {} },
    { kind: 'fq_codel', dev: 'eth0', drops: 7, options: { limit: 10_240 } },
  ]);
  expect([...bucketsIn(shown)]).toEqual([
    ['v1', { bps: 1_000_000, dropped: 3 }],
    ['lo', { dropped: 0 }],
    ['eth0', { dropped: 7 }],
  ]);
});
