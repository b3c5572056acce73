import { SECRET_BYTES } from '../supervisor/secrets/limits.ts';
import { LEASE_MAX_MS } from '../update/core/hold.ts';

/** What the socket takes from a caller. Sizes in bytes, times in milliseconds. */
export const LOCAL_API_LIMITS = {
  headerBytes: 8 * 1024,
  headers: 32,
  bodyBytes: 1024,
  secretBytes: SECRET_BYTES,
  /** Open at once, followers of logs included; further callers are cut off and try again. */
  connections: 32,
  headersMs: 5_000,
  requestMs: 10_000,
  keepAliveMs: 1_000,
  tailLines: 10_000,
  defaultTailLines: 100,
  events: 1_000,
  defaultEvents: 50,
  /** Of one message that is read along. */
  tapBytes: 1024 * 1024,
  defaultTapBytes: 256,
  whoCharacters: 64,
  whyCharacters: 200,
  /** Of a lease, and of a deferral by hand. */
  holdMs: LEASE_MAX_MS,
} as const;
