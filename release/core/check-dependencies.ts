import { findCycle } from '../../protocol/dependency-order.ts';
import { nearest } from '../../protocol/nearest.ts';
import type { SourceService } from './resolve.ts';

type Services = Readonly<Record<string, SourceService>>;

export function dependencyFaults(services: Services): string[] {
  const faults = Object.entries(services).flatMap(([name, { dependsOn }]) =>
    Object.entries(dependsOn ?? {}).flatMap(([on, condition]) =>
      conditionFaults(`services.${name}.dependsOn.${on}`, on, condition, services),
    ),
  );
  const ring = findCycle(
    new Map(Object.entries(services).map(([name, { dependsOn }]) => [name, Object.keys(dependsOn ?? {})])),
  );
  return ring
    ? [
        ...faults,
        `services.${ring[0]}.dependsOn waits for itself: ${[...ring, ring[0]].join(' → ')}; break the ring`,
      ]
    : faults;
}

function conditionFaults(at: string, on: string, condition: string, services: Services): string[] {
  const service = services[on];
  if (!service) {
    const near = nearest(on, Object.keys(services));
    return [`${at}: no service has this name${near ? `; did you mean "${near}"?` : ''}`];
  }
  if (condition === 'healthy' && !service.health)
    return [`${at} is healthy, but ${on} has no health check; give it one, or wait for started`];
  if (condition === 'completed' && (service.restart?.policy ?? 'always') === 'always')
    return [
      `${at} is completed, but ${on} is always started again; set its restart.policy to on-failure or never`,
    ];
  return [];
}
