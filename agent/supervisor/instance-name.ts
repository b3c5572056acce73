/**
 * Containers, cgroups, namespaces and records go by the name of an instance. A service has one, of its own name; while
 * an update starts the new version before the old one stops (start-then-stop) it has two. No service name has a dot.
 */
export const instancesOf = (service: string): [string, string] => [service, `${service}.2`];

/** The service by the name that people, neighbours and the server know. */
export const serviceOf = (instance: string): string => instance.replace(/\.2$/, '');
