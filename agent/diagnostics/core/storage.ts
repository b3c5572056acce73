import { formatBytes } from '../../../protocol/quantities.ts';
import { cannotTell, type Finding, fail, ok, together, warn } from './finding.ts';

/** One file system that the agent writes to. Inodes are 0 where it has no fixed number of them. */
export interface SpaceFacts {
  path: string;
  totalBytes: number;
  freeBytes: number;
  totalInodes: number;
  freeInodes: number;
}

const MiB = 1024 ** 2;
/** Below this SQLite, logs and a download's pieces fail one after the other. */
const FAIL = { bytes: 16 * MiB, percent: 2 };
const WARN = { bytes: 64 * MiB, percent: 10 };
const FREE_SOME =
  'see what fills it with "du -x -d 2 /", lower the log and volume budgets of the release, or remove what is not ' +
  "Wherry's; it goes on by itself once there is space";

export function judgeSpace(places: readonly SpaceFacts[]): Finding {
  return together(places.map(judgePlace));
}

function judgePlace({ path, totalBytes, freeBytes, totalInodes, freeInodes }: SpaceFacts): Finding {
  const free = `${path} has ${formatBytes(freeBytes)} free of ${formatBytes(totalBytes)}`;
  const percent = (100 * freeBytes) / Math.max(1, totalBytes);
  const inodes = totalInodes > 0 ? (100 * freeInodes) / totalInodes : 100;
  // A small file system may well be nearly full: both must be short.
  if (freeBytes === 0 || (percent < FAIL.percent && freeBytes < FAIL.bytes)) return fail(free, FREE_SOME);
  if (inodes < 1) return fail(`${path} has ${freeInodes} inodes free of ${totalInodes}`, FREE_SOME);
  if (percent < WARN.percent && freeBytes < WARN.bytes) return warn(free, FREE_SOME);
  if (inodes < 5) return warn(`${path} has ${freeInodes} inodes free of ${totalInodes}`, FREE_SOME);
  return ok(free);
}

export interface StorageFacts {
  /** The mount that holds the agent's state. */
  mount: { point: string; type: string; source: string; isReadOnly: boolean } | undefined;
  /** eMMC: life used, percent; blocks kept in reserve: 1 normal, 2 80 % used, 3 90 % used (JESD84-B51 §7.4.7). */
  lifeUsedPercent?: number | undefined;
  reserve?: number | undefined;
  /** By the maker's endurance and the pace of the last days. */
  daysLeft?: number | undefined;
  /** Lines of the kernel's log that tell of input and output errors; undefined when it cannot be read. */
  errors: string[] | undefined;
}

const REPLACE = 'copy what is needed off it and replace the card or the board soon';

export function judgeStorage({ mount, lifeUsedPercent, reserve, daysLeft, errors }: StorageFacts): Finding {
  const findings: Finding[] = [];
  if (mount?.isReadOnly)
    findings.push(
      fail(
        `${mount.point} (${mount.source}, ${mount.type}) is mounted read-only: the kernel does that after an error`,
        `look at "dmesg", then check it with fsck from elsewhere; "mount -o remount,rw ${mount.point}" until then`,
      ),
    );
  if (errors?.length) {
    const last = errors.at(-1) ?? '';
    findings.push(
      fail(`The kernel tells of ${errors.length} input and output errors; the last: ${last}`, REPLACE),
    );
  }
  if (lifeUsedPercent !== undefined && lifeUsedPercent >= 100)
    findings.push(fail('The eMMC has used up its life by its own account', REPLACE));
  else if (lifeUsedPercent !== undefined && lifeUsedPercent >= 80)
    findings.push(warn(`The eMMC has used ${lifeUsedPercent} % of its life by its own account`, REPLACE));
  if (reserve !== undefined && reserve >= 2)
    findings.push((reserve >= 3 ? fail : warn)('The eMMC has nearly used up its spare blocks', REPLACE));
  if (daysLeft !== undefined && daysLeft < 90)
    findings.push(
      warn(`At this pace the storage lasts ${daysLeft} more days`, 'write less, or plan to replace it'),
    );
  if (findings.length > 0) return together(findings);
  const life = lifeUsedPercent === undefined ? '' : `, ${lifeUsedPercent} % of its life used`;
  if (errors === undefined)
    return mount === undefined
      ? cannotTell("the kernel's log is not open to you; run as root")
      : ok(`${mount.point} is writable${life}; the kernel's log is not open to you`);
  return ok(`${mount?.point ?? 'The storage'} is writable${life}, no error in the kernel's log`);
}

export interface FilesystemFacts {
  /** As the superblock counts them, over reboots; `lastAt` Unix s, 0 = none. */
  ext4: { device: string; errors: number; lastFunction: string; lastAt: number }[];
  /** Image mounts that are there. */
  erofsMounts: number;
  /** Lines of the kernel's log about damage in a file system; undefined when it cannot be read. */
  damage: string[] | undefined;
}

export function judgeFilesystems({ ext4, erofsMounts, damage }: FilesystemFacts): Finding {
  const broken = ext4
    .filter(({ errors }) => errors > 0)
    .map(({ device, errors, lastFunction }) =>
      fail(
        `ext4 on ${device} has counted ${errors} errors, the last in ${lastFunction || 'an unknown place'}`,
        `check it while it is not mounted: "e2fsck -f /dev/${device}"; if they come back, replace the storage`,
      ),
    );
  const images = (damage ?? []).filter((line) => /erofs/i.test(line));
  const others = (damage ?? []).filter((line) => !/erofs/i.test(line));
  if (images.length > 0)
    broken.push(
      fail(
        `The kernel found an image damaged: ${images.at(-1)}`,
        'see which blob is damaged with "wherry doctor" (images), and give the device its release again',
      ),
    );
  if (others.length > 0 && broken.length === 0)
    broken.push(
      fail(`The kernel found a file system damaged: ${others.at(-1)}`, 'check it with fsck, unmounted'),
    );
  if (broken.length > 0) return together(broken);
  const seen = `${ext4.length} ext4 without errors, ${erofsMounts} image mounts`;
  return ok(damage === undefined ? `${seen}; the kernel's log is not open to you` : seen);
}
