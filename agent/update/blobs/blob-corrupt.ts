/** A whole download is not what was signed, though each piece was when it arrived: the disk is to blame. */
export class BlobCorrupt extends Error {
  constructor(verity: string) {
    super(
      `Cannot keep blob ${verity.slice(0, 12)}: what the disk holds is not what was signed; it is fetched again`,
    );
    this.name = 'BlobCorrupt';
  }
}
