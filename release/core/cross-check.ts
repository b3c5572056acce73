import type { Board } from '../../protocol/board.ts';
import { channelFaults } from '../../protocol/channels.ts';
import { systemFaults } from '../../protocol/manifest-system.ts';
import { nearest } from '../../protocol/nearest.ts';
import { parseDurationMs } from '../../protocol/quantities.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import { dependencyFaults } from './check-dependencies.ts';
import { healthFaults } from './check-health.ts';
import { deviceFaults, placeFaults, securityFaults } from './check-isolation.ts';
import { networkFaults } from './check-network.ts';
import { resourceFaults, volumeFaults } from './check-resources.ts';
import { updateFaults } from './check-update.ts';
import type { SourceService } from './resolve.ts';
import { resolveChannels } from './resolve-resources.ts';

const MIN_BACKOFF_MS = 100;

/** What the schema cannot say: one line for each contradiction within release.yaml or with the known boards. */
export function crossCheck(source: ReleaseSource, boards: ReadonlyMap<string, Board>): string[] {
  const { services, volumes = {}, networks = {} } = source;
  const known = source.boards.flatMap((name) => boards.get(name) ?? []);
  return [
    ...source.boards.flatMap((name) => boardFaults(name, boards)),
    ...(source.system ? systemFaults(source.system, source.boards) : []),
    ...volumeFaults(volumes),
    ...Object.entries(services).flatMap(([name, service]) => {
      const at = `services.${name}`;
      return [
        ...resourceFaults(at, service, known),
        ...restartFaults(at, service.restart),
        ...healthFaults(at, service),
        ...placeFaults(at, service, Object.keys(volumes)),
        ...deviceFaults(at, service),
        ...securityFaults(at, service),
      ];
    }),
    ...dependencyFaults(services),
    ...networkFaults(services, networks),
    ...updateFaults(services),
    ...channelFaults(resolveChannels(source.channels) ?? {}, services),
  ];
}

function boardFaults(name: string, boards: ReadonlyMap<string, Board>): string[] {
  if (boards.has(name)) return [];
  const near = nearest(name, [...boards.keys()]);
  return [
    `boards: "${name}" is not a known board; ${near ? `did you mean "${near}"?` : `known: ${[...boards.keys()].sort().join(', ')}`}`,
  ];
}

function restartFaults(at: string, restart: SourceService['restart']): string[] {
  const backoff = restart?.backoff;
  if (!backoff) return [];
  const [initial, max] = [parseDurationMs(backoff.initial) ?? 0, parseDurationMs(backoff.max) ?? 0];
  if (initial < MIN_BACKOFF_MS)
    return [`${at}.restart.backoff.initial is ${backoff.initial}; wanted 100ms or more`];
  if (max < initial)
    return [`${at}.restart.backoff.max is ${backoff.max}; wanted at least initial, ${backoff.initial}`];
  return [];
}
