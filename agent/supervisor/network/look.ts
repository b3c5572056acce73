import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  bucketsIn,
  countersIn,
  type KernelView,
  type NetRules,
  type NetSeat,
  type NetSegment,
  portsIn,
} from './core/kernel-view.ts';
import {
  addressOf,
  bridgeOf,
  gatewayOf,
  type NetworkState,
  netnsOf,
  type Owned,
  type Seat,
  seats,
  segments,
  subnetOf,
  vethOf,
} from './core/state.ts';
import { feed } from './feed.ts';
import { ownedBy } from './owned-links.ts';
import { Rules } from './rules.ts';
import { readState } from './state-file.ts';

type Buckets = ReturnType<typeof bucketsIn>;

/** The networks of an instance as the kernel has them; changes nothing. Throws when nft or tc cannot be run. */
export async function lookAtNetworks({
  instance,
  runDir,
}: {
  instance: string;
  runDir: string;
}): Promise<KernelView> {
  const owned = ownedBy(instance);
  const folder = join(runDir, 'network');
  const state = readState(join(folder, '.state.json'));
  if (segments(state).length === 0)
    return { segments: [], seats: [], ports: [], rules: { state: 'none', counters: [] } };
  const [inet, bridge] = await Promise.all([listed(owned, 'inet'), listed(owned, 'bridge')]);
  const tables = [inet, bridge].filter((table) => table !== undefined);
  const isWhole = tables.length === 2 && (await new Rules(owned, join(folder, '.rules')).areWhole());
  return {
    segments: segments(state).map((segment) => segmentOf(owned, segment)),
    seats: await seatsIn(owned, state),
    ports: inet === undefined ? [] : portsIn(inet),
    rules: { state: stateOf(tables.length, isWhole), counters: countersIn(tables) },
  };
}

const stateOf = (tables: number, isWhole: boolean): NetRules['state'] => {
  if (tables < 2) return 'missing';
  return isWhole ? 'as-set' : 'changed';
};

/** Undefined when the table is gone. */
async function listed({ table }: Owned, family: 'inet' | 'bridge'): Promise<string | undefined> {
  const tables = await feed('nft', ['-j', 'list', 'tables', family]);
  return tables.includes(`"${table}"`) ? feed('nft', ['-j', 'list', 'table', family, table]) : undefined;
}

function segmentOf(
  owned: Owned,
  { name, slot, isInternal }: ReturnType<typeof segments>[number],
): NetSegment {
  const bridge = bridgeOf(owned, slot);
  return { name, isInternal, bridge, subnet: subnetOf(slot), gateway: gatewayOf(slot), isUp: isUp(bridge) };
}

async function seatsIn(owned: Owned, state: NetworkState): Promise<NetSeat[]> {
  const wired = seats(state).filter(({ service }) => state.members[service]?.phase === 'wired');
  const outside = bucketsIn(await feed('tc', ['-s', '-j', 'qdisc', 'show']));
  const inside = new Map<string, Buckets>();
  for (const service of new Set(wired.map((seat) => seat.service)))
    inside.set(service, await bucketsInside(owned, service));
  return wired.map((seat) => seatOf(owned, seat, outside, inside.get(seat.service) ?? new Map()));
}

async function bucketsInside(owned: Owned, service: string): Promise<Buckets> {
  const netns = netnsOf(owned, service);
  if (!existsSync(join('/run/netns', netns))) return new Map();
  return bucketsIn(await feed('tc', ['-n', netns, '-s', '-j', 'qdisc', 'show']));
}

/** What the host's end receives is what the service sent. */
function seatOf(owned: Owned, seat: Seat, outside: Buckets, inside: Buckets): NetSeat {
  const { service, name, slot, host, device } = seat;
  const link = vethOf(owned, slot, host);
  const count = (what: string): number => Number(read(link, `statistics/${what}`) ?? 0);
  const [toIt, fromIt] = [outside.get(link), inside.get(device)];
  return {
    service,
    segment: name,
    address: addressOf(slot, host),
    link,
    isUp: isUp(link),
    receivedBytes: count('tx_bytes'),
    sentBytes: count('rx_bytes'),
    receivedPackets: count('tx_packets'),
    sentPackets: count('rx_packets'),
    droppedToService: count('tx_dropped') + (toIt?.dropped ?? 0),
    droppedFromService: count('rx_dropped') + (fromIt?.dropped ?? 0),
    ...(toIt?.bps && { ingressBps: toIt.bps }),
    ...(fromIt?.bps && { egressBps: fromIt.bps }),
  };
}

/** IFF_UP of include/uapi/linux/if.h. */
const isUp = (link: string): boolean => (Number(read(link, 'flags') ?? 0) & 1) === 1;

function read(link: string, file: string): string | undefined {
  try {
    return readFileSync(join('/sys/class/net', link, file), 'utf8').trim();
  } catch {
    return undefined;
  }
}
