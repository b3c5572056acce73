import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verityOf } from '../../protocol/fsverity.ts';

/** EROFS images made of a static busybox, in a folder of blobs named by their fs-verity digest. */
export interface TinyImage {
  blobDir: string;
  /** The whole root filesystem: busybox and the folders a container needs. */
  verity: string;
  /** A second layer: /extra/file, and /etc/motd in place of the first layer's. */
  extraVerity: string;
  /** The first layer's content as a plain folder. */
  folder: string;
}

const APPLETS = [
  'sh',
  'sleep',
  'cat',
  'echo',
  'dd',
  'id',
  'kill',
  'ls',
  'mount',
  'true',
  'false',
  'touch',
  'wget',
  'tail',
  'seq',
  'httpd',
  'yes',
  'find',
  'grep',
  'ps',
  'ip',
  'mkdir',
  'mknod',
  'umount',
  'unshare',
  'chroot',
  'insmod',
  'swapon',
  'hostname',
  'setsid',
  'test',
  'nc',
  'nslookup',
];

const FOLDER = 'wherry-tiny-image-3';

/** Makes the images once and keeps them in the system's folder for temporary files. */
export async function tinyImage(): Promise<TinyImage> {
  const base = join(tmpdir(), FOLDER);
  if (!existsSync(base)) {
    const work = mkdtempSync(join(tmpdir(), 'wherry-tiny-image-new-'));
    build(work);
    try {
      renameSync(work, base);
    } catch {
      // Another test made it meanwhile.
      rmSync(work, { recursive: true, force: true });
    }
  }
  const verity = await nameBlob(base, 'base.erofs');
  const extraVerity = await nameBlob(base, 'extra.erofs');
  return { blobDir: base, verity, extraVerity, folder: join(base, 'base') };
}

/** The images for another machine: what is put into its folder for temporary files. */
export function tinyImageOf(busybox: string, folder: string): string {
  build(join(folder, FOLDER), busybox);
  return FOLDER;
}

function ownBusybox(): string {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (busybox === undefined)
    throw new Error('Cannot build the tiny image: there is no busybox; apt-get install busybox-static');
  return busybox;
}

function build(work: string, busybox = ownBusybox()): void {
  for (const folder of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'run', 'data']) {
    mkdirSync(join(work, 'base', folder), { recursive: true });
  }
  copyFileSync(busybox, join(work, 'base/bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(work, 'base/bin', applet));
  mkdirSync(join(work, 'extra/extra'), { recursive: true });
  symlinkSync('nowhere', join(work, 'extra/extra/link'));
  for (const layer of ['base', 'extra']) {
    execFileSync('mkfs.erofs', ['--quiet', join(work, `${layer}.erofs`), join(work, layer)]);
  }
}

async function nameBlob(base: string, file: string): Promise<string> {
  const { digest } = await verityOf(createReadStream(join(base, file)));
  const path = join(base, `${digest}.erofs`);
  if (!existsSync(path)) symlinkSync(file, path);
  return digest;
}
