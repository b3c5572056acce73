/** What a server may ask a device for while somebody looks on. Additive: a device that does not know one has it off. */
export const REMOTE_ACTIONS = ['logs', 'why', 'restart', 'reboot', 'bundle', 'exec'] as const;
export type RemoteAction = (typeof REMOTE_ACTIONS)[number];

/** Numbers both ends enforce. Sizes in bytes of JSON text unless said otherwise, times in milliseconds. */
export const REMOTE_LIMITS = {
  /** An `ask` or a `more`. */
  askBytes: 8 * 1024,
  /** An `answer`. */
  answerBytes: 64 * 1024,
  /** Of content in one answer, before it is written as base64. */
  pieceBytes: 16 * 1024,
  /** Answers that may be on their way, or wait at the server, without another `more`. */
  creditBytes: 128 * 1024,
  /** What one answer brings may bring over all together, each second: a chatty log leaves the link to others. */
  bytesPerSecond: 256 * 1024,
  /** Answered at the same time, by one device. */
  streams: 4,
  /** Taken by one device in a minute, refused ones included. */
  asksPerMinute: 60,
  /** How long an `ask` holds: one that was held up is not carried out. */
  askMs: 20_000,
  /** Content of one `more`, before base64: what somebody types, or pastes. */
  inputBytes: 4 * 1024,
  /** The longest that the device goes on answering one ask; the server may ask for less. */
  logsMs: 30 * 60_000,
  execMs: 30 * 60_000,
  bundleMs: 5 * 60_000,
  quickMs: 15_000,
  /** Of a support bundle, as the device makes it. */
  bundleBytes: 4 * 1024 * 1024,
} as const;

/** The longest life of an answer by what was asked for. */
export const REMOTE_LIFE_MS: Record<RemoteAction, number> = {
  logs: REMOTE_LIMITS.logsMs,
  exec: REMOTE_LIMITS.execMs,
  bundle: REMOTE_LIMITS.bundleMs,
  why: REMOTE_LIMITS.quickMs,
  restart: REMOTE_LIMITS.quickMs,
  reboot: REMOTE_LIMITS.quickMs,
};
