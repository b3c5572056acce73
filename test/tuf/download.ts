import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetFile } from '@tufjs/models';
import { checkContent, isContent } from '../../agent/update/tuf/checks.ts';
import { replaceFile } from '../../protocol/durable-file.ts';
import { HASHES } from '../../protocol/tuf-document.ts';
import { readHttp } from './http-files.ts';
import { quoteRole } from './role-names.ts';

/** TUF 1.0.34 §5.7: fetches a target unless it is there already, and keeps it when it is the one that was signed. */
export async function download(
  target: TargetFile,
  options: { baseUrl: string; folder: string; hasHashPrefix: boolean },
  signal: AbortSignal,
): Promise<void> {
  const file = join(options.folder, quoteRole(target.path));
  const there = await readFile(file).catch(() => undefined);
  if (there && isContent(target, there)) return;
  const url = options.baseUrl.replace(/\/*$/, '/') + pathOf(target, options.hasHashPrefix);
  const content = await readHttp(url, target.length, signal);
  checkContent(target.path, target, content);
  await mkdir(options.folder, { recursive: true });
  await replaceFile(file, content);
}

/** §5.7.3: with consistent snapshots the file's name starts with one of its hashes. */
function pathOf({ path, hashes }: TargetFile, hasHashPrefix: boolean): string {
  const parts = path.split('/').map(encodeURIComponent);
  const hash = HASHES.flatMap((algorithm) => hashes[algorithm] ?? [])[0];
  const name = parts.pop() ?? '';
  return [...parts, hasHashPrefix ? `${hash}.${name}` : name].join('/');
}
