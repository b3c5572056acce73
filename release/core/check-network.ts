import { nearest } from '../../protocol/nearest.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import type { SourceService } from './resolve.ts';

type Networks = NonNullable<ReleaseSource['networks']>;
type Services = Readonly<Record<string, SourceService>>;

export function networkFaults(services: Services, networks: Networks): string[] {
  return [
    ...Object.entries(services).flatMap(([name, service]) => [
      ...modeFaults(`services.${name}`, service, networks),
      ...membershipFaults(`services.${name}.networks`, service, networks),
    ]),
    ...portFaults(services),
    ...aliasFaults(services),
    ...unusedFaults(services, networks),
  ];
}

export const isWithoutNetwork = ({ network, networks }: SourceService): boolean =>
  networks === undefined && network !== 'host';

function modeFaults(at: string, service: SourceService, networks: Networks): string[] {
  const { network, ports = [], resources } = service;
  const joined = Object.keys(service.networks ?? {});
  const faults: string[] = [];
  if (network && joined.length > 0)
    faults.push(`${at}.network is ${network}, but it is on networks too; remove one of the two`);
  if (ports.length > 0 && network === 'host')
    faults.push(`${at}.ports: the service is on the host's network, where its ports are open; remove ports`);
  else if (ports.length > 0 && joined.length === 0)
    faults.push(`${at}.ports: the service is on no network to publish from; add networks`);
  else if (ports.length > 0 && joined.every((name) => networks[name]?.internal))
    faults.push(`${at}.ports: its networks are internal, out of reach; add one that is not`);
  if (resources.network && joined.length === 0)
    faults.push(`${at}.resources.network: the service is on no network to limit; add networks or remove it`);
  return faults;
}

function membershipFaults(at: string, service: SourceService, networks: Networks): string[] {
  return Object.keys(service.networks ?? {}).flatMap((name) => {
    if (networks[name]) return [];
    const near = nearest(name, Object.keys(networks));
    return [
      `${at}.${name}: networks does not declare it; ${near ? `did you mean "${near}"?` : 'declare it at the top'}`,
    ];
  });
}

function unusedFaults(services: Services, networks: Networks): string[] {
  const used = new Set(Object.values(services).flatMap((service) => Object.keys(service.networks ?? {})));
  return Object.keys(networks)
    .filter((name) => !used.has(name))
    .map((name) => `networks.${name}: no service is on it; put one on it or remove it`);
}

/** Two listeners clash where port and protocol are one and their addresses overlap: none means all. */
function portFaults(services: Services): string[] {
  const listeners = Object.entries(services).flatMap(([name, { ports }]) =>
    (ports ?? []).map((port, index) => ({ at: `services.${name}.ports.${index}`, protocol: 'tcp', ...port })),
  );
  return listeners.flatMap((port, index) => {
    if (port.address !== undefined && !isIpv4(port.address))
      return [`${port.at}.address is ${port.address}; wanted an IPv4 address`];
    const other = listeners
      .slice(0, index)
      .find(
        ({ host, protocol, address }) =>
          host === port.host &&
          protocol === port.protocol &&
          (address === undefined || port.address === undefined || address === port.address),
      );
    return other
      ? [`${port.at}.host is ${port.host}/${port.protocol}, which ${other.at} has; choose another port`]
      : [];
  });
}

function aliasFaults(services: Services): string[] {
  return Object.entries(services).flatMap(([name, { networks }]) =>
    Object.entries(networks ?? {}).flatMap(([network, { aliases }]) =>
      (aliases ?? []).flatMap((alias, index) =>
        alias !== name && services[alias]?.networks?.[network]
          ? [
              `services.${name}.networks.${network}.aliases.${index} is "${alias}", the name of a service there; choose another`,
            ]
          : [],
      ),
    ),
  );
}

const isIpv4 = (text: string): boolean => {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
};
