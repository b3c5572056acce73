/** A text about the whole device, without its secrets, for those who are not there. */
export interface BundleDesk {
  /**
   * Pieces as they come, never more than `maxBytes` together. `who` stands in its heading. Throws before the first piece
   * when it cannot be made; ends its work when the iteration is left.
   */
  make(options: { maxBytes: number; who: string }): AsyncIterable<Uint8Array>;
}
