/** Why a device was not taken in. */
export class EnrolError extends Error {
  /** `unreachable`: it may go well another time. `untrusted`: whoever answers is not the pinned server. */
  readonly code: 'malformed' | 'unreachable' | 'untrusted' | 'refused';

  constructor(code: EnrolError['code'], message: string) {
    super(message);
    this.name = 'EnrolError';
    this.code = code;
  }
}

/** Errors of Node's TLS that say whom it met, not that it met nobody. */
export const isAboutCertificate = ({ code = '' }: NodeJS.ErrnoException): boolean =>
  /^(?:ERR_TLS_CERT|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED)/.test(code);
