import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PackageFile } from './apt.ts';

const execute = promisify(execFile);

/** Not wanted on a device. */
const LEFT_OUT = [
  './usr/share/doc/*',
  './usr/share/man/*',
  './usr/share/locale/*',
  './usr/share/info/*',
  './usr/share/bash-completion/*',
  './usr/share/zsh/*',
  './usr/share/lintian/*',
  './usr/share/perl5/*',
  './usr/lib/*/perl-base/unicore/*',
  './usr/lib/*/gconv/*',
  './usr/lib/*/*.a',
  './usr/lib/podman/netavark*',
  './boot/System.map-*',
];
const PIPE = 'set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar --extract --directory "$2" "${@:3}"';

/** Unpacks packages one over the other. Nothing of them runs: their scripts are left out with their control files. */
export async function unpackPackages(
  packages: readonly PackageFile[],
  root: string,
  unwanted: readonly string[],
): Promise<void> {
  await mkdir(root, { recursive: true });
  const options = [
    '--keep-directory-symlink',
    '--no-same-owner',
    ...LEFT_OUT.map((pattern) => `--exclude=${pattern}`),
  ];
  const wanted = packages.filter(({ name }) => !unwanted.includes(name));
  for (const { path, name } of inOrder(wanted)) {
    try {
      await execute('bash', ['-c', PIPE, 'unpack', path, root, ...options]);
    } catch (error) {
      throw new Error(`Cannot unpack package ${name}: ${(error as { stderr?: string }).stderr}`, {
        cause: error,
      });
    }
  }
}

const isBase = ({ name }: PackageFile): boolean => name === 'base-files';

/** base-files brings the links /bin, /lib and /sbin that all others are unpacked through. */
const inOrder = (packages: readonly PackageFile[]): PackageFile[] => [
  ...packages.filter(isBase),
  ...packages.filter((each) => !isBase(each)),
];
