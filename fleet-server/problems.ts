/**
 * Every refusal the server speaks over HTTP, as RFC 9457 problem details. Additive only: a code, once shipped, keeps
 * its meaning.
 */
export const PROBLEMS = {
  'request.invalid': { status: 400, title: 'The request does not match the schema' },
  'request.not-found': { status: 404, title: 'There is nothing at this address' },
  'request.refused': { status: 400, title: 'The request cannot be read' },
  'request.too-large': { status: 413, title: 'The request is too large' },
  'request.cross-site': { status: 403, title: 'The request came from another site' },
  'request.rate-limited': { status: 429, title: 'Too many requests' },
  'server.failed': { status: 500, title: 'The server failed' },
  'session.required': { status: 401, title: 'Sign in first' },
  'session.credentials': { status: 401, title: 'Name or password is wrong' },
  'session.role': { status: 403, title: 'Your role does not allow this' },
  'enrol.token-unknown': { status: 403, title: 'The enrolment token is not known' },
  'enrol.token-expired': { status: 403, title: 'The enrolment token has expired' },
  'enrol.token-used-up': { status: 403, title: 'The enrolment token is used up' },
  'enrol.csr-bad': { status: 400, title: 'The certificate request is not acceptable' },
  'device.unknown': { status: 404, title: 'The device is not known' },
  'device.certificate': { status: 401, title: 'A device shows its certificate first' },
  'device.not-settled': { status: 409, title: 'The device has no settled release' },
  'remote.offline': { status: 409, title: 'The device is not connected' },
  'remote.unsupported': { status: 409, title: 'The agent of the device cannot do this' },
  'remote.off': { status: 403, title: 'The device’s configuration switches this off' },
  'remote.busy': { status: 429, title: 'The device answers too many requests' },
  'remote.stale': { status: 409, title: 'The request reached the device too late' },
  'remote.lost': { status: 504, title: 'The device did not answer' },
  'remote.refused': { status: 409, title: 'The device refused' },
  'remote.failed': { status: 502, title: 'The device could not do it' },
  'remote.service-unknown': { status: 404, title: 'The device knows no such service' },
  'remote.session-unknown': { status: 404, title: 'There is no such session' },
  'remote.not-confirmed': { status: 422, title: 'The request does not name the device' },
  'post-mortem.unknown': { status: 404, title: 'The post-mortem is not known' },
  'object.unknown': { status: 404, title: 'The object is not stored' },
  'object.range': { status: 416, title: 'The object has no such range' },
  'object.name-refused': { status: 400, title: 'Objects of this name cannot be uploaded' },
  'object.digest-mismatch': { status: 422, title: 'The content is not what its name says' },
  'object.too-large': { status: 413, title: 'The object is too large' },
  'release.unknown': { status: 404, title: 'The release is not known' },
  'release.metadata-malformed': { status: 422, title: 'The signed metadata cannot be read' },
  'release.metadata-signature': { status: 422, title: 'The metadata is not signed by enough trusted keys' },
  'release.metadata-expired': { status: 422, title: 'The signed metadata has expired' },
  'release.metadata-rollback': { status: 409, title: 'The signed metadata is older than what is trusted' },
  'release.metadata-mismatch': { status: 409, title: 'The signed metadata contradicts what is trusted' },
  'release.online-keys': { status: 422, title: 'The root does not name this server’s online keys' },
  'release.manifest-missing': { status: 422, title: 'The manifest was not uploaded' },
  'release.manifest-malformed': { status: 422, title: 'The manifest cannot be read' },
  'release.target-mismatch': { status: 422, title: 'The signed targets do not name this manifest' },
  'release.version-taken': { status: 409, title: 'Another release holds this name and version' },
  'release.blobs-missing': { status: 422, title: 'Image data was not uploaded' },
  'release.board-unknown': { status: 422, title: 'The release names a board this server does not know' },
  'release.platform-missing': { status: 422, title: 'The release lacks images for a board’s platform' },
  'release.admission': { status: 422, title: 'The budgets do not fit a board' },
  'rollout.unknown': { status: 404, title: 'The rollout is not known' },
  'rollout.empty': { status: 422, title: 'The rollout selects no device' },
  'rollout.board-mismatch': { status: 409, title: 'The release is not for the board of a device' },
  'rollout.device-pinned': { status: 409, title: 'A device is pinned to its release' },
  'rollout.window-bad': { status: 422, title: 'An update window cannot be used' },
  'rollout.over': { status: 409, title: 'The rollout is over' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal at the HTTP boundary. `message` is the detail people read. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  constructor(code: ProblemCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ProblemError';
    this.code = code;
  }
}

export function problemBody(code: ProblemCode, detail: string) {
  return { type: `urn:wherry:problem:${code}`, ...PROBLEMS[code], code, detail };
}
