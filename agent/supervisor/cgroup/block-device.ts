import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The disk that io budgets are for. */
export interface BlockDevice {
  /** "<major>:<minor>" of the whole disk: the kernel takes no limits for a partition. */
  id: string;
  /** The io scheduler in force, "bfq"; undefined where the device has none. */
  scheduler: string | undefined;
}

/** "<major>:<minor>" of the mount that holds a folder, from the text of /proc/<pid>/mountinfo (proc(5)). */
export function deviceOfFolder(folder: string, mountinfo: string): string | undefined {
  let best: { point: string; device: string } | undefined;
  for (const line of mountinfo.split('\n')) {
    const [, , device, , escaped] = line.split(' ');
    if (device === undefined || escaped === undefined) continue;
    const point = unescapeMountPath(escaped);
    const holds = folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`);
    // Of mounts over the same point the last one is seen.
    if (holds && point.length >= (best?.point.length ?? 0)) best = { point, device };
  }
  return best?.device;
}

/** The disk under a folder; undefined when there is none that can be limited (tmpfs, overlay, network). */
export function blockDeviceOf(folder: string, sysDevBlock = '/sys/dev/block'): BlockDevice | undefined {
  let present = folder;
  while (!existsSync(present)) present = dirname(present);
  const device = deviceOfFolder(realpathSync(present), readFileSync('/proc/self/mountinfo', 'utf8'));
  return device === undefined ? undefined : wholeDisk(device, sysDevBlock);
}

/** The disk that a device number of sysfs is, or is a partition of. */
export function wholeDisk(device: string, sysDevBlock: string): BlockDevice | undefined {
  const link = join(sysDevBlock, device);
  if (!existsSync(link)) return undefined;
  const own = realpathSync(link);
  const disk = existsSync(join(own, 'partition')) ? dirname(own) : own;
  const id = readFileSync(join(disk, 'dev'), 'utf8').trim();
  const scheduler = join(disk, 'queue/scheduler');
  const choices = existsSync(scheduler) ? readFileSync(scheduler, 'utf8') : '';
  return { id, scheduler: /\[(.+)\]/.exec(choices)?.[1] };
}

const unescapeMountPath = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
