import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cpioArchive } from './cpio.ts';
import { type Dependencies, loadOrder, moduleName } from './kernel-modules.ts';

export interface InitramfsParts {
  /** The script that becomes process 1, and what it reads from /grow. */
  init: string;
  grow: string;
  /** Shell variables that it reads from /layout. */
  layout: string;
  /** A static busybox of the board's architecture. */
  busybox: string;
  modulesDir: string;
  dependencies: Dependencies;
  early: readonly string[];
}

/** The kernel's first root filesystem: busybox, a script and the few modules that it takes to reach the real one. */
export async function initramfs(parts: InitramfsParts): Promise<Buffer> {
  const early = parts.early.map((entry) => entry.split(' '));
  const order = loadOrder(
    parts.dependencies,
    early.map(([name = '']) => name),
  );
  const optionsOf = (path: string): string[] =>
    early.find(([name = '']) => moduleName(path) === name.replaceAll('-', '_'))?.slice(1) ?? [];
  const modules = await Promise.all(
    order.map(async (path) => ({
      path: `modules/${basename(path)}`,
      kind: 'file' as const,
      mode: 0o644,
      data: await readFile(join(parts.modulesDir, path)),
    })),
  );
  const archive = cpioArchive([
    { path: 'bin', kind: 'folder' },
    { path: 'bin/busybox', kind: 'file', mode: 0o755, data: await readFile(parts.busybox) },
    { path: 'init', kind: 'file', mode: 0o755, data: await readFile(parts.init) },
    { path: 'modules', kind: 'folder' },
    ...modules,
    {
      path: 'modules/order',
      kind: 'file',
      mode: 0o644,
      data: Buffer.from(order.map((path) => `${[basename(path), ...optionsOf(path)].join(' ')}\n`).join('')),
    },
    { path: 'grow', kind: 'file', mode: 0o644, data: await readFile(parts.grow) },
    { path: 'layout', kind: 'file', mode: 0o644, data: Buffer.from(parts.layout) },
  ]);
  // Little to unpack beats little to read on a slow processor.
  return gzipSync(archive, { level: 1 });
}
