import { bridgeBatch, portBatch } from './core/links.ts';
import { nameFiles } from './core/name-service.ts';
import { rulesetText } from './core/nft.ts';
import { bucketsOf } from './core/rates.ts';
import { bridgeOf, gatewayOf, type NetworkState, type Owned, seats, segments, vethOf } from './core/state.ts';
import { feed, feedLines } from './feed.ts';
import type { NameServers } from './name-servers.ts';
import { masterOf, presentLinks } from './owned-links.ts';
import type { Rules } from './rules.ts';
import { setSysctls } from './sysctl.ts';
import { isWhole, lostBuckets, setBuckets, wire } from './wire.ts';

interface Parts {
  owned: Owned;
  state: NetworkState;
  rules: Rules;
  names: NameServers;
}

/** Compares the kernel with the state and sets again what differs; gives that back by name. */
export async function repairAll(parts: Parts): Promise<string[]> {
  const { owned, state, rules, names } = parts;
  if (segments(state).length === 0) return [];
  const mended = await repairSegments(owned, state);
  for (const { path } of setSysctls(owned, state)) mended.push(`sysctl ${path}`);
  if (!(await rules.areWhole())) {
    await rules.apply(rulesetText(owned, state));
    mended.push('rules');
  }
  if (!names.isServing()) {
    await names.serve(nameFiles(state));
    mended.push('name service');
  }
  return [...mended, ...(await repairServices(owned, state))];
}

async function repairSegments(owned: Owned, state: NetworkState): Promise<string[]> {
  const present = presentLinks(owned);
  const shown = JSON.parse(await feed('ip', ['-j', '-4', 'addr', 'show'])) as Shown[];
  const isUp = (bridge: string, gateway: string): boolean =>
    shown.some(
      ({ ifname, flags, addr_info }) =>
        ifname === bridge && flags.includes('UP') && addr_info.some(({ local }) => local === gateway),
    );
  const down = segments(state).filter(({ slot }) => !isUp(bridgeOf(owned, slot), gatewayOf(slot)));
  const loose = seats(state).filter(({ slot, host }) => {
    const veth = vethOf(owned, slot, host);
    return present.has(veth) && masterOf(veth) !== bridgeOf(owned, slot);
  });
  if (down.length + loose.length === 0) return [];
  await feedLines('ip', ['-batch', '-'], bridgeBatch(owned, state, present));
  await feedLines('ip', ['-batch', '-'], portBatch(owned, state, present));
  return [...new Set([...down, ...loose].map(({ slot }) => slot))].map(
    (slot) => `segment ${segments(state).find((segment) => segment.slot === slot)?.name}`,
  );
}

/** Of `ip -j addr show`. */
interface Shown {
  ifname: string;
  flags: string[];
  addr_info: { local: string }[];
}

async function repairServices(owned: Owned, state: NetworkState): Promise<string[]> {
  const mended: string[] = [];
  for (const [service, { phase }] of Object.entries(state.members)) {
    if (phase !== 'wired') continue;
    if (!isWhole(owned, state, service)) {
      // Its processes keep their namespace for as long as that has a name.
      await wire(owned, state, service);
      mended.push(`links of ${service}`);
      continue;
    }
    const lost = await lostBuckets(owned, service, bucketsOf(owned, state, service));
    await setBuckets(owned, service, lost);
    if (lost.length > 0) mended.push(`rate of ${service}`);
  }
  return mended;
}
