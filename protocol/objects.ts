/**
 * Names of what a chunk source serves. Everything a device fetches is one of these; every source (MQTT now)
 * uses the same names.
 *
 *   blob-<fs-verity digest>      an EROFS layer blob
 *   leaves-<fs-verity digest>    its 32-byte leaf hashes (fsverity.ts)
 *   manifest-<sha256>            a release manifest
 *   delta-<sha256>               makes a blob of another (delta/table.ts)
 *   offer-<digest>[-<digits>…]   which delta gives a blob to who holds others (delta/offer.ts); made when asked for
 *   root-<n> targets-<n> snapshot-<n> timestamp     TUF metadata
 *   delegated-<role>-<n>         targets metadata of a delegated role
 */
const NAME =
  /^(?:(?:blob|leaves|manifest|delta)-[0-9a-f]{64}|offer-[0-9a-f]{64}(?:-[0-9a-f]{16}){0,3}|(?:root|targets|snapshot|delegated-[a-z][a-z0-9-]{0,31})-[1-9][0-9]{0,8}|timestamp)$/;

export const isObjectName = (name: string): boolean => NAME.test(name);
export const blobObject = (verity: string): string => `blob-${verity}`;
export const leavesObject = (verity: string): string => `leaves-${verity}`;
export const manifestObject = (sha256: string): string => `manifest-${sha256}`;
export const metadataObject = (role: 'root' | 'targets' | 'snapshot', version: number): string =>
  `${role}-${version}`;
export const TIMESTAMP_OBJECT = 'timestamp';
const ROLE = /^[a-z][a-z0-9-]{0,31}$/;
/** Undefined for a role that no object can be named after. */
export const delegatedObject = (role: string, version: number): string | undefined =>
  ROLE.test(role) ? `delegated-${role}-${version}` : undefined;
