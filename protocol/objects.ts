/**
 * Names of what a chunk source serves. Everything a device fetches is one of these; every source (MQTT now)
 * uses the same names.
 *
 *   blob-<fs-verity digest>      an EROFS layer blob
 *   leaves-<fs-verity digest>    its 32-byte leaf hashes (fsverity.ts)
 *   manifest-<sha256>            a release manifest
 *   root-<n> targets-<n> snapshot-<n> timestamp     TUF metadata
 */
const NAME =
  /^(?:(?:blob|leaves|manifest)-[0-9a-f]{64}|(?:root|targets|snapshot)-[1-9][0-9]{0,8}|timestamp)$/;

export const isObjectName = (name: string): boolean => NAME.test(name);
export const blobObject = (verity: string): string => `blob-${verity}`;
export const leavesObject = (verity: string): string => `leaves-${verity}`;
export const manifestObject = (sha256: string): string => `manifest-${sha256}`;
export const metadataObject = (role: 'root' | 'targets' | 'snapshot', version: number): string =>
  `${role}-${version}`;
export const TIMESTAMP_OBJECT = 'timestamp';
