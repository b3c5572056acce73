/**
 * Every start, stop, wait and refusal carries one of these codes. Additive only: a code, once shipped, keeps its
 * meaning. docs/protocol.md lists them and a test keeps the two equal.
 */
export const REASONS = {
  // services: why it starts
  'start.desired': 'The release wants it and it was not running',
  'start.spec-changed': 'Its specification changed in the new release',
  'start.retry': 'It exited and its restart policy starts it again',
  'start.operator': 'An operator restarted it',
  'start.adopted': 'It was already running when the agent came up',
  // services: why it stopped
  'stop.not-desired': 'The release no longer holds it',
  'stop.spec-changed': 'Its specification changed in the new release',
  'stop.operator': 'An operator restarted it',
  'stop.shutdown': 'The device is stopping all services',
  'exit.code': 'Its process exited',
  'exit.signal': 'Its process was killed by a signal',
  'exit.oom': 'The kernel killed a process in it for want of memory',
  // services: why it waits
  'wait.backoff': 'It exited and waits before the next start',
  'wait.completed': 'It ended with success and its policy does not start it again',
  'wait.given-up': 'It failed too often in a row; a new release or a restart by hand starts it again',
  // services: why it could not be started
  'fail.image': 'Its image could not be mounted',
  'fail.runtime': 'The container runtime refused it',
  'fail.budget': 'The kernel did not hold its budget',
  'repair.budget': 'Its budget in the kernel had drifted and was set again',
  // updates
  'update.offered': 'The server assigned this release',
  'update.committed': 'Every service stayed up for the soak time',
  'update.current': 'The device runs this release already',
  'update.rolled-back': 'The release did not stay healthy; the one before runs again',
  'update.superseded': 'A newer assignment replaced it',
  'refused.assignment-signature': 'The assignment is not signed by the fleet key',
  'refused.assignment-malformed': 'The assignment cannot be read',
  'refused.assignment-device': 'The assignment names another device',
  'refused.assignment-expired': 'The assignment has expired',
  'refused.generation': 'The assignment is older than one accepted before',
  'refused.board': 'The release is for other boards',
  'refused.platform': 'The release holds no image for this platform',
  'refused.admission': 'The budgets do not fit this board',
  'refused.metadata-signature': 'Release metadata is not signed by enough trusted keys',
  'refused.metadata-rollback': 'Release metadata is older than what was trusted before',
  'refused.metadata-expired': 'Release metadata has expired',
  'refused.metadata-malformed': 'Release metadata cannot be read',
  'refused.target-missing': 'The signed targets do not name this release',
  'refused.manifest-digest': 'The manifest is not the one that was signed',
  'refused.manifest-malformed': 'The manifest cannot be read',
  'refused.blob-digest': 'Image data is not what was signed',
  'refused.disk': 'There is not enough free disk space',
  'refused.bad-release': 'This release failed on this device before',
  'retry.source': 'The source could not serve an object; trying again',
} as const;

export type ReasonCode = keyof typeof REASONS;

export interface Reason {
  code: ReasonCode;
  /** One sentence for people, with the particulars. */
  message: string;
  /** Unix time in milliseconds. */
  at: number;
}
