import type {
  Attempt,
  ChannelStatus,
  DeviceHealth,
  PostMortem,
  Rollout,
  ServiceState,
  ServiceStatus,
  UpdatePhase,
} from '../api/types.ts';

/** Each tone has a colour and a shape of its own, so that neither is the only signal. */
export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'quiet';
export interface Word {
  label: string;
  tone: Tone;
}

export const PHASE_WORDS: Record<UpdatePhase, Word> = {
  idle: { label: 'Idle', tone: 'quiet' },
  fetching: { label: 'Fetching', tone: 'busy' },
  verified: { label: 'Verified', tone: 'busy' },
  staged: { label: 'Staged', tone: 'busy' },
  waiting: { label: 'Waiting', tone: 'quiet' },
  switching: { label: 'Switching', tone: 'busy' },
  soaking: { label: 'Soaking', tone: 'busy' },
  committed: { label: 'Up to date', tone: 'ok' },
  rolling_back: { label: 'Rolling back', tone: 'warn' },
  rolled_back: { label: 'Rolled back', tone: 'bad' },
  refused: { label: 'Refused', tone: 'bad' },
};

export const SERVICE_WORDS: Record<ServiceState, Word> = {
  stopped: { label: 'Stopped', tone: 'quiet' },
  waiting: { label: 'Waiting', tone: 'busy' },
  starting: { label: 'Starting', tone: 'busy' },
  running: { label: 'Running', tone: 'ok' },
  stopping: { label: 'Stopping', tone: 'busy' },
  backing_off: { label: 'Backing off', tone: 'warn' },
  crash_looping: { label: 'Crash looping', tone: 'bad' },
  shed: { label: 'Shed', tone: 'warn' },
  completed: { label: 'Completed', tone: 'quiet' },
  failed: { label: 'Failed', tone: 'bad' },
};

export const HEALTH_WORDS: Record<NonNullable<ServiceStatus['health']>['state'], Word> = {
  starting: { label: 'Health unknown yet', tone: 'busy' },
  healthy: { label: 'Healthy', tone: 'ok' },
  unhealthy: { label: 'Unhealthy', tone: 'bad' },
};

export const THROTTLED_WORD: Word = { label: 'Throttled', tone: 'warn' };

export const CHANNEL_MODE_WORDS: Record<ChannelStatus['mode'], string> = {
  lossy: 'the newest win, nobody waits',
  latest: 'readers jump to the newest',
  reliable: 'publishers wait for readers',
};

export const CLOCK_WORDS: Record<NonNullable<DeviceHealth['clock']>['state'], string> = {
  synchronised: 'synchronised',
  unsynchronised: 'not synchronised',
  unknown: 'unknown',
};

export const BOOT_WORDS: Record<NonNullable<DeviceHealth['boot']>['reason'], string> = {
  first: 'for the first time',
  requested: 'as the agent asked',
  clean: 'after an orderly shutdown',
  'lost-power': 'after a loss of power',
  panic: 'after a kernel panic',
  watchdog: 'by the watchdog',
};

export const POST_MORTEM_WORDS: Record<PostMortem['kind'], Word> = {
  crash: { label: 'Crashed', tone: 'warn' },
  oom: { label: 'Out of memory', tone: 'bad' },
  rollback: { label: 'Rolled back', tone: 'bad' },
};

export const ATTEMPT_WORDS: Record<Attempt['state'], Word> = {
  queued: { label: 'Queued', tone: 'quiet' },
  offered: { label: 'Offered', tone: 'busy' },
  downloading: { label: 'Downloading', tone: 'busy' },
  waiting: { label: 'Waiting', tone: 'quiet' },
  installing: { label: 'Installing', tone: 'busy' },
  soaking: { label: 'Soaking', tone: 'busy' },
  committed: { label: 'Committed', tone: 'ok' },
  already_current: { label: 'Already current', tone: 'ok' },
  rolled_back: { label: 'Rolled back', tone: 'bad' },
  rejected: { label: 'Refused', tone: 'bad' },
  superseded: { label: 'Superseded', tone: 'quiet' },
};

export const ROLLOUT_WORDS: Record<Rollout['state'], Word> = {
  running: { label: 'Running', tone: 'busy' },
  completed: { label: 'Completed', tone: 'ok' },
  superseded: { label: 'Superseded', tone: 'quiet' },
};
