/**
 * Containers, cgroups, namespaces and records go by the name of an instance. A service has one, of its own name; while
 * an update starts the new version before the old one stops (start-then-stop) it has two. No service name has a dot.
 */
export const instancesOf = (service: string): [string, string] => [service, `${service}.2`];

/** The service by the name that people, neighbours and the server know. */
export const serviceOf = (instance: string): string => instance.replace(/\.2$/, '');

/** What is said of an instance, as said of its service. */
export const withoutInstances = (message: string): string =>
  message.replaceAll(/"([a-z][a-z0-9-]*)\.2"/g, '"$1"');
