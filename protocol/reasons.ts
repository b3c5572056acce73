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
  'start.by-hand': 'Somebody at the device started it',
  'start.adopted': 'It was already running when the agent came up',
  'start.restored': 'It had been stopped to relieve the device, and the pressure has gone',
  'start.unhealthy': 'It was stopped because its health check failed, and starts anew',
  // services: why it stopped
  'stop.not-desired': 'The release no longer holds it',
  'stop.spec-changed': 'Its specification changed in the new release',
  'stop.replaced': 'Its new version was started beside it, is well and has taken its place',
  'stop.operator': 'An operator restarted it',
  'stop.by-hand': 'Somebody at the device stopped it for a time',
  'stop.shutdown': 'The device is stopping all services',
  'stop.unhealthy': 'Its health check failed too often in a row',
  'stop.shed': 'The device is short of something and this service is among the least critical',
  'stop.killed': 'It did not end within its grace and was killed',
  'exit.code': 'Its process exited',
  'exit.signal': 'Its process was killed by a signal',
  'exit.oom': 'The kernel killed a process in it for want of memory',
  'exit.lost': 'It ended and its monitor with it, so its exit code is lost',
  // services: why it waits
  'wait.backoff': 'It exited and waits before the next start',
  'wait.completed': 'It ended with success and its policy does not start it again',
  'wait.given-up': 'It failed too often in a row; a new release or a restart by hand starts it again',
  'wait.dependency': 'A service that it depends on is not ready',
  'wait.shed': 'The device is short of something; it starts again when that has passed',
  'wait.by-hand': 'Somebody at the device stopped it; it starts again when the time for that is over',
  'wait.secret': 'A secret that it needs is not on this device',
  'wait.device': 'A device that it needs is not there',
  'wait.reboot': 'It failed too often in a row and asks for a reboot of the device',
  // services: why it could not be started
  'fail.image': 'Its image could not be mounted',
  'fail.runtime': 'The container runtime refused it',
  'fail.budget': 'The kernel did not hold its budget',
  'fail.network': 'Its network could not be set up',
  'fail.volume': 'One of its volumes could not be mounted',
  'fail.isolation': 'The kernel cannot isolate it as the release asks',
  'fail.channel': 'One of its shared-memory channels could not be made',
  'repair.budget': 'Its budget in the kernel had drifted and was set again',
  'repair.network': 'Rules or interfaces of its network had drifted and were set again',
  'repair.network-failed':
    'Its network has drifted and could not be set again; services may reach what they should not',
  'repair.channel': 'The memory of a channel that it publishes to was not as it should be and was set again',
  'repair.channel-failed': 'The memory of a channel is not as it should be and could not be set again',
  // services: what happens to it while it runs
  'health.healthy': 'Its health check succeeds',
  'health.unhealthy': 'Its health check fails',
  'shed.throttled': 'It runs on less than its budget to relieve the device',
  'shed.restored': 'It runs on its whole budget again',
  'channel.overruns': 'It was too slow for a channel and lost messages',
  'channel.evicted': 'It was too slow for a reliable channel, whose publishers no longer wait for it',
  'channel.restored': 'It keeps up with the reliable channel again, whose publishers wait for it as before',
  'channel.reset': 'A publisher of a channel began anew while it was subscribed',
  'logs.dropped': 'It logged faster than its log budget and lines were dropped',
  'exec.opened': 'Somebody ran a program in its container',
  // the device
  'device.rebooting': 'The device reboots because a service asked for it',
  'device.reboot-refused': 'A service asked for a reboot, which this device does not allow now',
  'device.shed': 'The device is short of memory, io, power or cooling and sheds load',
  'device.relieved': 'The device has recovered and load comes back',
  'device.enrolled': 'Somebody at the device took it into its fleet',
  'agent.disk-full': 'The disk of the agent is full; services run on, what happens is kept in memory',
  'agent.disk-freed': 'The disk of the agent can be written again',
  'agent.ledger-rebuilt': 'The ledger was unreadable and was rebuilt from what is on disk',
  'agent.trust-stale':
    'The signed metadata has run out or is wrong, and no better is given: somebody may withhold it',
  'agent.trust-lost': 'The trusted release metadata was unreadable; the factory root is trusted again',
  'secret.put': 'Somebody put a secret on the device',
  'secret.removed': 'Somebody removed a secret from the device',
  'hold.ended': 'A stop by hand is over: its time ran out, or the release no longer holds the service',
  'lease.taken': 'Somebody at the device asks that no update disturbs it for a time',
  'lease.released': 'Somebody at the device gave such a lease back',
  'remote.asked': 'Somebody at the fleet server asked this device for something, and it was taken',
  'remote.refused': 'The fleet server asked for something that the configuration of this device switches off',
  // updates
  'wait.window': 'The update switches when its window opens',
  'wait.lease': 'Something on the device asks not to be disturbed',
  'wait.deferred': 'Somebody at the device put the update off',
  'wait.consent': 'Somebody at the device is to agree to the update',
  'wait.power': 'The update switches on external power only',
  'wait.metered': 'The download waits for a link that is not metered',
  'update.offered': 'The server assigned this release',
  'update.committed': 'Every service stayed up for the soak time',
  'update.current': 'The device runs this release already',
  'update.rolled-back': 'The release did not stay healthy; the one before runs again',
  'update.system-trial': 'The device reboots into the system that the release brings, to try it once',
  'update.system-other':
    'The system that is to run does not load; the device runs on the one in its other slot',
  'update.fleet-key': 'The server signs with a new fleet key, which the one before signed',
  'update.consented': 'Somebody at the device agreed to the update',
  'update.deferred': 'Somebody at the device put the update off',
  'update.kept':
    'The release did not stay healthy and stays, because the one before is below the signed floor',
  'update.delta-unusable': 'A delta was not what it should be; the blob it was for is fetched whole',
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
  'refused.floor': 'The release is below the floor that the release keys have set',
  'refused.agent': 'The agent that the release brings cannot be put on this device',
  'refused.system': 'The system that the release brings cannot be put on this device',
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
  /** What led to it, nearest first, at most CAUSES_KEPT; absent when nothing did. */
  causes?: Cause[] | undefined;
}

export type Cause = Omit<Reason, 'causes'>;

export const CAUSES_KEPT = 4;

/** The reason with another one, and that one's own causes, as what led to it. */
export function becauseOf(reason: Reason, cause: Reason | undefined): Reason {
  if (cause === undefined) return reason;
  const { causes = [], ...nearest } = cause;
  return { ...reason, causes: [nearest, ...causes].slice(0, CAUSES_KEPT) };
}
