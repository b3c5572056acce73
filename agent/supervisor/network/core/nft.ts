import { type Total, totalsOf } from './rates.ts';
import {
  addressOf,
  bridgeOf,
  EVERY,
  gatewayOf,
  macOf,
  type NetworkState,
  type Owned,
  publications,
  seats,
  segments,
  subnetOf,
  vethOf,
} from './state.ts';

const COUNTERS = [
  'between_segments_dropped',
  'to_host_dropped',
  'gateway_from_outside_dropped',
  'ipv6_dropped',
  'to_outside',
  'published',
  'dns',
];

/**
 * One transaction that replaces both tables whole. `inet` routes, `bridge` sees which port a frame came through and so
 * can tell a forged source. The wildcards hold for a bridge that is not in the state any more: it gets nothing.
 */
export function rulesetText(owned: Owned, state: NetworkState): string {
  const { table } = owned;
  const replace = (family: string): string =>
    `table ${family} ${table} {\n}\ndelete table ${family} ${table}\n`;
  return `${replace('inet')}${replace('bridge')}${inetTable(owned, state)}${bridgeTable(owned, state)}`;
}

const set = (name: string, type: string, elements: readonly string[]): string =>
  `  set ${name} {\n    type ${type}\n${elements.length === 0 ? '' : `    elements = { ${elements.join(', ')} }\n`}  }\n`;

const chain = (name: string, hook: string, rules: readonly string[]): string =>
  `  chain ${name} {\n    type ${hook}; policy accept;\n${rules.map((rule) => `    ${rule}\n`).join('')}  }\n`;

function inetTable(owned: Owned, state: NetworkState): string {
  const all = segments(state);
  const bridge = ({ slot }: { slot: number }): string => `"${bridgeOf(owned, slot)}"`;
  const open = all.filter(({ isInternal }) => !isInternal);
  const internal = all.filter(({ isInternal }) => isInternal);
  const doors = all.map((segment) => `${bridge(segment)} . ${gatewayOf(segment.slot)}`);
  const within = all.map((segment) => `${bridge(segment)} . ${bridge(segment)}`);
  const sets = [
    set('open', 'ifname', open.map(bridge)),
    set('internal', 'ifname', internal.map(bridge)),
    set('doors', 'ifname . ipv4_addr', doors),
    set('within', 'ifname . ifname', within),
    set(
      'gateways',
      'ipv4_addr',
      all.map(({ slot }) => gatewayOf(slot)),
    ),
  ];
  const counters = COUNTERS.map((name) => `  counter ${name} {\n  }\n`);
  return `table inet ${owned.table} {\n${[...counters, ...sets, ...inetChains(owned, state)].join('')}}\n`;
}

function inetChains(owned: Owned, state: NetworkState): string[] {
  const ours = `"${owned.prefix}-*"`;
  const masquerades = segments(state)
    .filter(({ isInternal }) => !isInternal)
    .map(({ slot }) => `ip saddr ${subnetOf(slot)} oifname != ${ours} masquerade`);
  return [
    chain('forward', 'filter hook forward priority filter', [
      `iifname != ${ours} oifname != ${ours} accept`,
      'meta nfproto ipv6 counter name ipv6_dropped drop',
      // Frames within a segment come by here only where bridge-nf-call-iptables is 1.
      'iifname . oifname @within accept',
      'ct state established,related accept',
      `iifname != ${ours} ct status dnat counter name published accept`,
      `iifname @open oifname != ${ours} counter name to_outside accept`,
      'counter name between_segments_dropped drop',
    ]),
    chain('input', 'filter hook input priority filter', [
      `iifname != { ${ours}, "lo" } ip daddr @gateways counter name gateway_from_outside_dropped drop`,
      `iifname != ${ours} accept`,
      'meta nfproto ipv6 counter name ipv6_dropped drop',
      'ct state established,related accept',
      'iifname . ip daddr @doors meta l4proto { tcp, udp } th dport 53 counter name dns accept',
      'iifname . ip daddr @doors icmp type echo-request accept',
      'counter name to_host_dropped drop',
    ]),
    chain('published_outside', 'nat hook prerouting priority dstnat', [
      `iifname ${ours} accept`,
      ...portRules(state),
    ]),
    chain('published_host', 'nat hook output priority -100', portRules(state)),
    chain('leave', 'nat hook postrouting priority srcnat', [
      // From the host's loopback, and into a segment without a way out: the answer must find its way back.
      `oifname ${ours} ip saddr 127.0.0.0/8 masquerade`,
      'oifname @internal ct status dnat masquerade',
      ...masquerades,
    ]),
  ];
}

const portRules = (state: NetworkState): string[] =>
  publications(state).map(({ port, seat, service }) => {
    const { address = EVERY } = port;
    const where = address === EVERY ? 'fib daddr type local' : `ip daddr ${address}`;
    const to = `${addressOf(seat.slot, seat.host)}:${port.container}`;
    return `${where} ${port.protocol} dport ${port.host} dnat ip to ${to} comment "${service}"`;
  });

/** Two frames as the kernel joins them, 64 KiB each. */
const TOTAL_BURST = 131_072;

const limit = ({ name, bytesPerSecond }: Total): string =>
  `  limit ${name} {\n    rate over ${bytesPerSecond} bytes/second burst ${TOTAL_BURST} bytes\n  }\n`;

function totalChain(direction: Total['direction'], hook: string, totals: readonly Total[]): string[] {
  const rules = totals
    .filter((total) => total.direction === direction)
    .map(({ name, devices }) => {
      const ports = devices.map((device) => `"${device}"`).join(', ');
      const side = direction === 'sent' ? 'iifname' : 'oifname';
      return `${side} { ${ports} } limit name "${name}" counter name over_rate_dropped drop`;
    });
  return rules.length > 0 ? [chain(`all_${direction}`, hook, rules)] : [];
}

function bridgeTable(owned: Owned, state: NetworkState): string {
  const own = seats(state).map(
    ({ slot, host }) => `"${vethOf(owned, slot, host)}" . ${macOf(slot, host)} . ${addressOf(slot, host)}`,
  );
  const rules = [
    `iifname != "${owned.prefix}v*" accept`,
    'ether type ip iifname . ether saddr . ip saddr @own accept',
    'ether type arp iifname . ether saddr . arp saddr ip @own accept',
    'counter name forged_dropped drop',
  ];
  const totals = totalsOf(owned, state);
  const body = [
    '  counter forged_dropped {\n  }\n',
    ...(totals.length > 0 ? ['  counter over_rate_dropped {\n  }\n'] : []),
    ...totals.map(limit),
    set('own', 'ifname . ether_addr . ipv4_addr', own),
    chain('source', 'filter hook prerouting priority -300', rules),
    ...totalChain('sent', 'filter hook prerouting priority -299', totals),
    ...totalChain('received', 'filter hook postrouting priority 0', totals),
  ];
  return `table bridge ${owned.table} {\n${body.join('')}}\n`;
}
