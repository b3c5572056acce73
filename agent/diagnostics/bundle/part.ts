/** A part of a support bundle before it is redacted and cut. */
export interface Part {
  /** At most 60 characters; names a service where it is about one. */
  title: string;
  /** Which end stays when it must be cut: a log's last lines, a document's first. */
  keep: 'head' | 'tail';
  /** Rejecting leaves the reason in its place. */
  read(signal: AbortSignal): Promise<string>;
}
