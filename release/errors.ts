/**
 * Failures of the release tool and of the tools for boards. `refused` codes mean policy or verification said no (exit 4), `usage` that an
 * option is missing or wrong (exit 2); the others mean that
 * the input or the machine was wrong (exit 1).
 */
export const RELEASE_ERRORS = {
  usage: 'usage',
  source: 'failed',
  board: 'failed',
  device: 'failed',
  'device-refused': 'refused',
  'wherry-json': 'failed',
  image: 'failed',
  tool: 'failed',
  keys: 'failed',
  passphrase: 'failed',
  signer: 'failed',
  draft: 'failed',
  threshold: 'refused',
  folder: 'failed',
  server: 'failed',
  'server-refused': 'refused',
  'image-refused': 'refused',
  'image-digest': 'refused',
  policy: 'refused',
  'does-not-fit': 'refused',
  'already-signed': 'refused',
} as const;

export type ReleaseErrorCode = keyof typeof RELEASE_ERRORS;

export class ReleaseError extends Error {
  readonly code: ReleaseErrorCode;
  constructor(code: ReleaseErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReleaseError';
    this.code = code;
  }
  get outcome(): 'failed' | 'usage' | 'refused' {
    return RELEASE_ERRORS[this.code];
  }
}

/** The text of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
