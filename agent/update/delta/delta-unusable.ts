/** A delta, or the old blob it needs, is not what it should be: the blob is fetched whole instead. */
export class DeltaUnusable extends Error {
  constructor(what: string, options?: ErrorOptions) {
    super(what, options);
    this.name = 'DeltaUnusable';
  }
}
