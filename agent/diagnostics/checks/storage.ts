import { existsSync, realpathSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseBytes } from '../../../protocol/quantities.ts';
import { deviceOfFolder, wholeDisk } from '../../supervisor/cgroup/block-device.ts';
import { describeWear, readLifeTime, type WearRecord } from '../../supervisor/health/core/wear.ts';
import { namesIn, readRecord, readText } from '../../supervisor/health/small-file.ts';
import type { Check } from '../check.ts';
import { damageLines, ioErrors } from '../core/kernel-log.ts';
import {
  type FilesystemFacts,
  judgeFilesystems,
  judgeSpace,
  judgeStorage,
  type SpaceFacts,
} from '../core/storage.ts';
import type { Host } from '../host.ts';
import { mountOf, parseMounts } from '../mounts.ts';

export const disk: Check = {
  name: 'disk',
  limitMs: 5_000,
  run: async ({ patient: { config } }) => {
    const folders = [...new Set([config.stateDir, config.runDir].map(present))];
    return judgeSpace(await Promise.all(folders.map(spaceOf)));
  },
};

export const storage: Check = {
  name: 'storage',
  limitMs: 10_000,
  run: async ({ patient: { host, config }, signal }) => {
    const mountinfo = readText(host.at('/proc/self/mountinfo')) ?? '';
    const folder = realpathSync(present(config.stateDir));
    const device = deviceOfFolder(folder, mountinfo);
    const disk = device === undefined ? undefined : wholeDisk(device, host.at('/sys/dev/block'));
    const read = (file: string): string =>
      (disk && readText(host.at(`/sys/dev/block/${disk.id}/device/${file}`))) ?? '';
    const lifeUsedPercent = readLifeTime(read('life_time'));
    const wear = readRecord<WearRecord>(join(config.stateDir, 'wear.json'));
    const { storageEndurance: given } = config.board;
    const enduranceBytes = given === undefined ? undefined : parseBytes(given);
    const log = await kernelLog(host, signal);
    return judgeStorage({
      mount: mountOf(folder, parseMounts(mountinfo)),
      lifeUsedPercent,
      reserve: Number.parseInt(read('pre_eol_info'), 16) || undefined,
      daysLeft: wear && describeWear(wear, { enduranceBytes, lifeUsedPercent })?.daysLeft,
      errors: log && ioErrors(log),
    });
  },
};

export const filesystems: Check = {
  name: 'filesystems',
  limitMs: 10_000,
  run: async ({ patient: { host }, signal }) => {
    const mounts = parseMounts(readText(host.at('/proc/self/mountinfo')) ?? '');
    const log = await kernelLog(host, signal);
    return judgeFilesystems({
      ext4: ext4Of(host),
      erofsMounts: mounts.filter(({ type }) => type === 'erofs').length,
      damage: log && damageLines(log),
    });
  },
};

/** Oldest first; undefined when it is not open to this user. */
export async function kernelLog(host: Host, signal: AbortSignal): Promise<string[] | undefined> {
  const text = await host.run('dmesg', ['--kernel'], signal).catch(() => undefined);
  return text?.split('\n').filter((line) => line !== '');
}

function ext4Of(host: Host): FilesystemFacts['ext4'] {
  const folder = host.at('/sys/fs/ext4');
  return namesIn(folder).flatMap((device) => {
    const read = (file: string): string | undefined => readText(join(folder, device, file))?.trim();
    const errors = read('errors_count');
    if (errors === undefined) return [];
    const lastAt = Number(read('last_error_time') ?? 0);
    return [{ device, errors: Number(errors), lastFunction: read('last_error_func') ?? '', lastAt }];
  });
}

async function spaceOf(path: string): Promise<SpaceFacts> {
  const { blocks, bavail, bsize, files, ffree } = await statfs(path);
  return {
    path,
    totalBytes: blocks * bsize,
    freeBytes: bavail * bsize,
    totalInodes: files,
    freeInodes: ffree,
  };
}

/** The folder, or the nearest above it that is there. */
function present(path: string): string {
  let folder = path;
  while (!existsSync(folder) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}
