/** Networks of the services, as the kernel has them. */
export interface KernelView {
  segments: NetSegment[];
  /** Where services are on segments, by service. */
  seats: NetSeat[];
  /** Published on the host, in the order in which the kernel tries them. */
  ports: NetPort[];
  rules: NetRules;
}

export interface NetSegment {
  name: string;
  /** Without a way out. */
  isInternal: boolean;
  bridge: string;
  subnet: string;
  gateway: string;
  isUp: boolean;
}

export interface NetSeat {
  service: string;
  segment: string;
  address: string;
  /** The host's end of its link. */
  link: string;
  isUp: boolean;
  /** By the service, since its link was made. */
  receivedBytes: number;
  sentBytes: number;
  receivedPackets: number;
  sentPackets: number;
  /** On their way to the service, and from it; those that a rate held back for too long are among them. */
  droppedToService: number;
  droppedFromService: number;
  /** Rates that the kernel holds it to, bits a second; absent = none. */
  ingressBps?: number;
  egressBps?: number;
}

export interface NetPort {
  protocol: 'tcp' | 'udp';
  /** On the host; absent = all of its addresses. */
  address?: string;
  port: number;
  service: string;
  /** "10.212.10.2:80". */
  to: string;
}

export interface NetRules {
  /** `as-set`: the kernel holds what the agent set, rule by rule. `none`: no service is on a segment. */
  state: 'as-set' | 'changed' | 'missing' | 'none';
  /** Named counters of the rules. */
  counters: { name: string; packets: number; bytes: number }[];
}

/** Of `nft -j list table`. */
interface Listed {
  counter?: { name: string; packets: number; bytes: number };
  rule?: { chain: string; comment?: string; expr: Expression[] };
}
interface Expression {
  match?: { left: { payload?: { protocol: string; field: string } }; right: unknown };
  dnat?: { addr: string; port: number };
}

const listOf = (text: string): Listed[] => (JSON.parse(text) as { nftables: Listed[] }).nftables;

/** Those of both tables, in their order. */
export const countersIn = (tables: readonly string[]): NetRules['counters'] =>
  tables
    .flatMap(listOf)
    .flatMap(({ counter }) =>
      counter ? [{ name: counter.name, packets: counter.packets, bytes: counter.bytes }] : [],
    );

/** What the rules for callers from outside lead to which service. */
export const portsIn = (table: string): NetPort[] =>
  listOf(table).flatMap(({ rule }) => (rule?.chain === 'published_outside' ? portOf(rule) : []));

function portOf({ comment = '', expr }: NonNullable<Listed['rule']>): NetPort[] {
  const fields = expr.flatMap(({ match }) =>
    match?.left.payload ? [{ ...match.left.payload, right: match.right }] : [],
  );
  const port = fields.find(({ field }) => field === 'dport');
  const address = fields.find(({ field }) => field === 'daddr')?.right;
  const dnat = expr.find((each) => each.dnat)?.dnat;
  if (!port || !dnat || (port.protocol !== 'tcp' && port.protocol !== 'udp')) return [];
  return [
    {
      protocol: port.protocol,
      ...(typeof address === 'string' && { address }),
      port: Number(port.right),
      service: comment,
      to: `${dnat.addr}:${dnat.port}`,
    },
  ];
}

/** Of `tc -s -j qdisc show`, by device: the rate that a token bucket holds, bits a second, and what it dropped. */
export function bucketsIn(text: string): Map<string, { bps?: number; dropped: number }> {
  const shown = JSON.parse(text) as {
    kind: string;
    dev: string;
    drops?: number;
    options?: { rate?: number };
  }[];
  return new Map(
    shown.map(({ kind, dev, drops = 0, options }) => [
      dev,
      // tc counts bytes a second.
      { ...(kind === 'tbf' && options?.rate && { bps: options.rate * 8 }), dropped: drops },
    ]),
  );
}
