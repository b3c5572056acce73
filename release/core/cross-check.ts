import type { Board } from '../../protocol/board.ts';
import { nearest } from '../../protocol/nearest.ts';
import { parseBytes, parseDurationMs } from '../../protocol/quantities.ts';
import type { ReleaseSource } from '../../protocol/release-source.ts';
import { CAPABILITIES } from './capabilities.ts';

const MIN_MEMORY_BYTES = 1024 * 1024;
const MIN_VOLUME_BYTES = 4096;
const MIN_BACKOFF_MS = 100;

type Service = ReleaseSource['services'][string];

/** What the schema cannot say: one line for each contradiction within release.yaml or with the known boards. */
export function crossCheck(source: ReleaseSource, boards: ReadonlyMap<string, Board>): string[] {
  return [
    ...source.boards.flatMap((name) => boardFaults(name, boards)),
    ...Object.entries(source.volumes ?? {}).flatMap(([name, { size }]) =>
      (parseBytes(size) ?? 0) < MIN_VOLUME_BYTES
        ? [`volumes.${name}.size is ${size}; wanted 4KiB or more`]
        : [],
    ),
    ...Object.entries(source.services).flatMap(([name, service]) =>
      serviceFaults(`services.${name}`, service, Object.keys(source.volumes ?? {})),
    ),
  ];
}

function boardFaults(name: string, boards: ReadonlyMap<string, Board>): string[] {
  if (boards.has(name)) return [];
  const near = nearest(name, [...boards.keys()]);
  return [
    `boards: "${name}" is not a known board; ${near ? `did you mean "${near}"?` : `known: ${[...boards.keys()].sort().join(', ')}`}`,
  ];
}

function serviceFaults(at: string, service: Service, volumes: string[]): string[] {
  return [
    ...memoryFaults(at, service.resources.memory.max),
    ...restartFaults(at, service.restart),
    ...mountFaults(at, service.mounts ?? [], volumes),
    ...capabilityFaults(at, service.security?.capabilities ?? []),
  ];
}

const memoryFaults = (at: string, max: string): string[] =>
  (parseBytes(max) ?? 0) < MIN_MEMORY_BYTES
    ? [`${at}.resources.memory.max is ${max}; wanted 1MiB or more`]
    : [];

function restartFaults(at: string, restart: Service['restart']): string[] {
  const backoff = restart?.backoff;
  if (!backoff) return [];
  const [initial, max] = [parseDurationMs(backoff.initial) ?? 0, parseDurationMs(backoff.max) ?? 0];
  if (initial < MIN_BACKOFF_MS)
    return [`${at}.restart.backoff.initial is ${backoff.initial}; wanted 100ms or more`];
  if (max < initial)
    return [`${at}.restart.backoff.max is ${backoff.max}; wanted at least initial, ${backoff.initial}`];
  return [];
}

function mountFaults(at: string, mounts: NonNullable<Service['mounts']>, volumes: string[]): string[] {
  return mounts.flatMap(({ volume, path }, index) => {
    const here = `${at}.mounts.${index}`;
    if (!volumes.includes(volume)) {
      const near = nearest(volume, volumes);
      return [
        `${here}.volume is "${volume}", which volumes does not declare${near ? `; did you mean "${near}"?` : ''}`,
      ];
    }
    if (path === '/' || path.split('/').some((part) => part === '..' || part === '.'))
      return [`${here}.path is "${path}"; wanted a folder below / without "." or ".."`];
    if (mounts.findIndex((mount) => mount.path === path) < index)
      return [`${here}.path is "${path}", where another volume is mounted already`];
    return [];
  });
}

function capabilityFaults(at: string, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    if (CAPABILITIES.has(name)) return [];
    const near = nearest(name, [...CAPABILITIES]);
    return [
      `${at}.security.capabilities: "${name}" is not a known capability${near ? `; did you mean "${near}"?` : ''}`,
    ];
  });
}
