/**
 * How a service of a release says that it is busy. A release that allows it (`update.lease`) gives the service a small
 * folder of its own; while the file there names a time ahead, no release takes over.
 *
 * First line: ISO 8601 time, or seconds from the moment the file was written. Second line: why, for people. A file that
 * is gone, that ran out or that says something else is no lease.
 */
export const LEASE_FOLDER = '/run/wherry/lease';
export const LEASE_FILE = 'busy';

/** A service holds an update up for this long at most, where the policy has no longest deferral of its own. */
export const SERVICE_LEASE_MAX_MS = 24 * 3_600_000;
