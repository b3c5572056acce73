/** Sizes of a support bundle in bytes: with less it would hold nothing that helps anybody. */
export const BUNDLE_LIMITS = {
  minBytes: 64 * 1024,
  defaultBytes: 2 * 1024 * 1024,
  maxBytes: 64 * 1024 * 1024,
} as const;
