import { nearest } from '../../protocol/nearest.ts';
import { CAPABILITIES } from './capabilities.ts';
import type { SourceService } from './resolve.ts';
import { SYSTEM_CALLS } from './system-calls.ts';

export function securityFaults(at: string, { security }: SourceService): string[] {
  const here = `${at}.security`;
  const syscalls = security?.syscalls ?? [];
  return [
    ...unknown(`${here}.capabilities`, 'capability', security?.capabilities ?? [], CAPABILITIES),
    ...unknown(`${here}.syscalls`, 'system call', syscalls, SYSTEM_CALLS),
    ...(security?.seccomp === 'unconfined' && syscalls.length > 0
      ? [`${here}.syscalls: seccomp is unconfined, so nothing is left to allow; remove one of the two`]
      : []),
  ];
}

function unknown(at: string, what: string, names: readonly string[], known: ReadonlySet<string>): string[] {
  return names.flatMap((name) => {
    if (known.has(name)) return [];
    const near = nearest(name, [...known]);
    return [`${at}: "${name}" is not a known ${what}${near ? `; did you mean "${near}"?` : ''}`];
  });
}

export function deviceFaults(at: string, { devices = [] }: SourceService): string[] {
  const places = devices.map(({ path, target, cdi }) => cdi ?? target ?? path ?? '');
  return devices.flatMap(({ path, target, access, cdi }, index) => {
    const here = `${at}.devices.${index}`;
    if (path === undefined && cdi === undefined) return [`${here} names no device; set path or cdi`];
    if (path !== undefined && cdi !== undefined) return [`${here} has path and cdi; keep one of them`];
    if (cdi !== undefined && (target !== undefined || access !== undefined))
      return [`${here}: target and access go with path; the CDI device says them itself`];
    const crooked = [path, target].find((each) => each !== undefined && !isPlain(each));
    if (crooked !== undefined) return [`${here} names "${crooked}"; wanted a path without "." or ".."`];
    return places.indexOf(places[index] ?? '') < index
      ? [`${here}: "${places[index]}" is there already; remove one of the two`]
      : [];
  });
}

/** Below it the agent puts what it shares with a service. */
const AGENTS_OWN = '/run/wherry/';

/** Where volumes and secrets lie; `volumes` are the declared ones. */
export function placeFaults(at: string, service: SourceService, volumes: readonly string[]): string[] {
  const secrets = service.secrets ?? [];
  const places = [
    ...(service.mounts ?? []).map(({ path, volume }, index) => ({
      here: `${at}.mounts.${index}`,
      path,
      volume,
    })),
    ...secrets.map(({ name, path }, index) => ({
      here: `${at}.secrets.${index}`,
      path: path ?? `/run/secrets/${name}`,
      volume: undefined,
    })),
  ];
  const names = secrets.map(({ name }) => name);
  return [
    ...places.flatMap(({ here, path, volume }, index) => {
      if (volume !== undefined && !volumes.includes(volume)) {
        const near = nearest(volume, volumes);
        return [
          `${here}.volume is "${volume}", which volumes does not declare${near ? `; did you mean "${near}"?` : ''}`,
        ];
      }
      if (path === '/' || !isPlain(path))
        return [`${here}.path is "${path}"; wanted a path below / without "." or ".."`];
      if (`${path}/`.replaceAll(/\/+/g, '/').startsWith(AGENTS_OWN))
        return [`${here}.path is "${path}"; ${AGENTS_OWN} is the agent's, choose another`];
      return places.findIndex((place) => place.path === path) < index
        ? [`${here}.path is "${path}", where something is mounted already; choose another`]
        : [];
    }),
    ...names.flatMap((name, index) =>
      names.indexOf(name) < index
        ? [`${at}.secrets.${index}.name is "${name}" again; remove one of the two`]
        : [],
    ),
  ];
}

const isPlain = (path: string): boolean => !path.split('/').some((part) => part === '..' || part === '.');
