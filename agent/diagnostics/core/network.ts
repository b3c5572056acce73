import { cannotTell, type Finding, fail, ok, skipped, warn } from './finding.ts';

export interface NetworkFacts {
  /** Interfaces that hold a default route, the one of least cost first. */
  defaultRoutes: string[];
  /** Others than the loopback: `state` is the kernel's operstate. */
  links: { name: string; state: string }[];
  /** As /etc/resolv.conf names them. */
  nameServers: string[];
}

export function judgeRoute({ defaultRoutes, links }: NetworkFacts, hasServer: boolean): Finding {
  const [first] = defaultRoutes;
  if (first !== undefined) return ok(`The default route goes over ${defaultRoutes.join(', ')}`);
  const seen = links.length
    ? `its interfaces are ${links.map(({ name, state }) => `${name} (${state})`).join(', ')}`
    : 'it has no network interface';
  const found = `There is no default route; ${seen}`;
  const advice = 'plug in the cable, or look at the Wi-Fi credentials and at DHCP ("ip address", "ip route")';
  return hasServer ? fail(found, advice) : warn(found, advice);
}

/** What a lookup of the server's name gave. `code`: of getaddrinfo(3), or "timeout". */
export type Lookup = { addresses: string[] } | { code: string };

/** `host`: of the server; undefined when the device has none. `lookup` is undefined where the host is an address. */
export function judgeDns(facts: NetworkFacts, host: string | undefined, lookup: Lookup | undefined): Finding {
  if (host === undefined) return skipped('The device has no server whose name could be looked up');
  if (lookup === undefined) return skipped(`The server is named by its address, ${host}`);
  if ('addresses' in lookup) return ok(`${host} is ${lookup.addresses.join(', ')}`);
  const { nameServers, defaultRoutes } = facts;
  const asked = nameServers.length ? ` at ${nameServers.join(', ')}` : '';
  if (lookup.code === 'ENOTFOUND' && nameServers.length > 0 && defaultRoutes.length > 0)
    return fail(
      `Nobody${asked} knows the name ${host}`,
      'check the name in the join string and the DNS entry',
    );
  if (nameServers.length === 0)
    return fail(
      `${host} cannot be looked up: /etc/resolv.conf names no name server`,
      'have DHCP give one, or name one there',
    );
  if (defaultRoutes.length === 0) return cannotTell('there is no default route to a name server');
  return fail(
    `No name server${asked} answers for ${host} (${lookup.code})`,
    'check that UDP and TCP port 53 to them are open',
  );
}
