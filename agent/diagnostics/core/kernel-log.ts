/** What the kernel's log tells of storage. `lines`: as dmesg prints them, oldest first. */

const IO_ERROR =
  /\b(?:I\/O error|critical (?:medium|target) error|Buffer I\/O error|mmc\d+: (?:.*error|.*timeout)|Medium Error)\b/i;
const DAMAGE =
  /\b(?:EXT4-fs error|EXT4-fs \(.*\): (?:error|.*corrupt)|erofs.*(?:corrupt|bad|fail|invalid)|F2FS-fs.*(?:error|corrupt)|BTRFS (?:error|critical)|FAT-fs .*error)/i;
/** Loop devices and RAM disks are no storage that could wear out. */
const NOT_STORAGE = /\b(?:loop|ram|sr|nbd)\d+\b/;

export const ioErrors = (lines: readonly string[]): string[] =>
  lines.filter((line) => IO_ERROR.test(line) && !NOT_STORAGE.test(line));

/** Remounting read-only is damage too, whatever the file system. */
export const damageLines = (lines: readonly string[]): string[] =>
  lines.filter((line) => DAMAGE.test(line) || /Remounting filesystem read-only/.test(line));
