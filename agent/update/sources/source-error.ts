export type SourceErrorCode = 'unknown-object' | 'too-large' | 'rejected' | 'unreachable' | 'aborted';

/** The source could not serve an object. Never a verdict on what it served. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  constructor(code: SourceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Asked more than once, it answered nothing: its connection may be one that nobody holds at the other end. */
export class SilentError extends SourceError {
  constructor(message: string) {
    super('unreachable', message);
  }
}

export const aborted = (object: string): SourceError =>
  new SourceError('aborted', `Cannot fetch ${object}: the download was called off`);
