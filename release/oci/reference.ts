import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ReleaseError } from '../errors.ts';
import { openDockerArchive } from './docker-archive.ts';
import type { ImageArchive } from './image.ts';
import { OciLayout } from './layout.ts';

/** Opens `oci:<folder>[:<ref>]` or `docker-archive:<file>[:<tag>]`, relative to `baseDir`. */
export async function openImage(text: string, baseDir: string, tempDir: string): Promise<ImageArchive> {
  const match = /^(oci|docker-archive):(.+)$/.exec(text);
  if (!match)
    throw new ReleaseError(
      'image',
      `Cannot open image ${text}: its kind is not known; wanted oci:<folder>[:<ref>] or docker-archive:<file>[:<tag>]`,
    );
  const [, kind, rest = ''] = match;
  const { path, ref } = await splitRef(baseDir, rest);
  return kind === 'oci' ? new OciLayout(path, ref, text) : openDockerArchive(path, ref, text, tempDir);
}

/** A path that exists as it stands has no ref; otherwise each ":" from the left may be where the ref begins. */
async function splitRef(baseDir: string, rest: string): Promise<{ path: string; ref: string | undefined }> {
  const whole = resolve(baseDir, rest);
  if (await exists(whole)) return { path: whole, ref: undefined };
  for (let colon = rest.indexOf(':'); colon > 0; colon = rest.indexOf(':', colon + 1)) {
    const path = resolve(baseDir, rest.slice(0, colon));
    if (await exists(path)) return { path, ref: rest.slice(colon + 1) };
  }
  throw new ReleaseError('image', `Cannot open image ${rest}: there is no such file or folder in ${baseDir}`);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
