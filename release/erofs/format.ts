/**
 * EROFS on disk, as much as an uncompressed image needs: Linux fs/erofs/erofs_fs.h, Documentation/filesystems/erofs.rst.
 * Every number is little-endian. Files are whole (Linux 5.4) or, where they have holes, in chunks (Linux 5.15).
 */
export const BLOCK_BYTES = 4096;
export const SUPER_OFFSET = 1024;
export const SUPER_BYTES = 128;
export const MAGIC = 0xe0f5_e1e2;
/** EROFS_FEATURE_COMPAT_MTIME: times are of the content, not of the node. */
export const MTIME = 0x2;
/** EROFS_FEATURE_INCOMPAT_CHUNKED_FILE. */
export const CHUNKED = 0x4;
/** A node's number is its place in units of 32 bytes. */
export const SLOT_BYTES = 32;
export const COMPACT_BYTES = 32;
export const EXTENDED_BYTES = 64;
export const DIRENT_BYTES = 12;
export const XATTR_HEADER_BYTES = 12;
/** EROFS_NULL_ADDR: a chunk that is a hole. */
export const HOLE = 0xffff_ffff;
/** i_format bits 1 to 3. */
export const DATA = { plain: 0, inline: 2, chunks: 4 } as const;
/** erofs_xattr_entry e_name_index; POSIX ACLs have no name beyond it. */
export const XATTR_PREFIXES = [
  [2, 'system.posix_acl_access'],
  [3, 'system.posix_acl_default'],
  [1, 'user.'],
  [4, 'trusted.'],
  [6, 'security.'],
] as const;

/** stat(2) st_mode's type; a dirent's file_type (fs_types.h). */
export const TYPES = {
  fifo: { mode: 0o010000, dirent: 5 },
  char: { mode: 0o020000, dirent: 3 },
  dir: { mode: 0o040000, dirent: 2 },
  block: { mode: 0o060000, dirent: 4 },
  file: { mode: 0o100000, dirent: 1 },
  symlink: { mode: 0o120000, dirent: 7 },
  socket: { mode: 0o140000, dirent: 6 },
} as const;

export const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES);

/** new_encode_dev() of include/linux/kdev_t.h. */
export const encodeDevice = ({ major, minor }: { major: number; minor: number }): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;

export const decodeDevice = (device: number): { major: number; minor: number } => ({
  major: (device >>> 8) & 0xfff,
  minor: (device & 0xff) | ((device >>> 12) & 0xfff00),
});
